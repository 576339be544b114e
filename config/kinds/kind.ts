// What a kind is: its Kubernetes names and one TypeBox schema, from which type, check, CRD and reference page come.
import type { TObject } from 'typebox';
import type { ObjectMeta } from '../object.ts';
import type { ValueOf } from './field.ts';

export type { ValueOf } from './field.ts';

/** A column that `kubectl get` shows (CustomResourceDefinition additionalPrinterColumns). */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description: string;
}

/** One kind of configuration object. */
export interface KindDef<K extends string = string, Body extends TObject = TObject> {
  readonly kind: K;
  /** API group; empty for Kubernetes' core group. */
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Served versions, the storage version first. */
  readonly versions: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  /** Kubernetes' own kinds have no CRD and tolerate fields that we do not read. */
  readonly builtin: boolean;
  readonly printerColumns: readonly PrinterColumn[];
  /** One sentence for the reference page. */
  readonly description: string;
  /**
   * Schema of everything but apiVersion, kind and metadata: `{ spec, status? }` for mesh kinds.
   * Values stay as they are in JSON: durations are strings such as `5s`, enum values are their names.
   */
  readonly body: Body;
}

/** A typed object of a kind. */
export type ObjectOfDef<D extends KindDef> = {
  readonly apiVersion: string;
  readonly kind: D['kind'];
  readonly metadata: ObjectMeta;
} & ValueOf<D['body']>;

/** Declares a kind, keeping the literal types of its name and schema. */
export function defineKind<const K extends string, Body extends TObject>(def: KindDef<K, Body>): KindDef<K, Body> {
  return Object.freeze(def);
}
