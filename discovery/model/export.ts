// The mesh's default of exportTo, read so that what rests on it rests on nothing else of the mesh configuration.
import { defaultExportToOf, type ExportedKind } from '../../config/export-to.ts';
import { query } from '../graph/graph.ts';
import { mesh } from './objects.ts';

/** The mesh's default list for a kind, `*` where it has none. */
export const defaultExportTo = query('default-export-to', (read, kind: ExportedKind): readonly string[] =>
  defaultExportToOf(read(mesh, 'mesh'), kind),
);
