// Tracing of requests: sampling, and the tags of spans. Where spans go, the bootstrap or a Telemetry provider says.
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Tracing } from '../../../../config/kinds/proxy-settings.ts';
import { compareText } from '../../../../config/object.ts';
import {
  type HttpConnectionManager_Tracing,
  HttpConnectionManager_TracingSchema,
} from '../../../../protos/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { CustomTagSchema } from '../../../../protos/gen/envoy/type/tracing/v3/custom_tag_pb.js';
import type { SpanTags } from './context.ts';

type TagInit = MessageInitShape<typeof CustomTagSchema>;

/** Tracing of a connection manager. `sampling` is the mesh's share of traced requests in percent, unless the proxy has its own. */
export function tracingOf(
  settings: Tracing | undefined,
  spans: SpanTags,
  sampling: number,
): HttpConnectionManager_Tracing {
  const tags = [
    ...customTags(settings),
    ...(settings?.enableIstioTags === false ? [] : [...dryRunTags, ...proxyTags(spans)]),
  ];
  const share = settings?.sampling;
  const maxPathTagLength = settings?.maxPathTagLength ?? 0;
  return create(HttpConnectionManager_TracingSchema, {
    clientSampling: { value: 100 },
    randomSampling: { value: share === undefined || share === 0 ? sampling : share },
    overallSampling: { value: 100 },
    customTags: tags.sort((a, b) => compareText(a.tag ?? '', b.tag ?? '')),
    ...(maxPathTagLength === 0 ? {} : { maxPathTagLength }),
  });
}

function customTags(settings: Tracing | undefined): TagInit[] {
  return Object.entries(settings?.customTags ?? {}).flatMap(([tag, source]): TagInit[] => {
    const { literal, environment, header } = source;
    if (literal !== undefined) return [literalTag(tag, literal.value ?? '')];
    if (environment !== undefined) return [{ tag, type: { case: 'environment', value: named(environment) } }];
    return header === undefined ? [] : [{ tag, type: { case: 'requestHeader', value: named(header) } }];
  });
}

function named({ name = '', defaultValue = '' }: { readonly name?: string; readonly defaultValue?: string }) {
  return { name, defaultValue };
}

function literalTag(tag: string, value: string): TagInit {
  return { tag, type: { case: 'literal', value: { value } } };
}

function proxyTags({ service, revision, cluster, mesh, namespace }: SpanTags): TagInit[] {
  return [
    literalTag('istio.canonical_revision', revision),
    literalTag('istio.canonical_service', service),
    literalTag('istio.cluster_id', cluster),
    literalTag('istio.mesh_id', mesh),
    literalTag('istio.namespace', namespace),
  ];
}

/** What policies in dry run would have decided. */
const dryRunTags: readonly TagInit[] = ['allow', 'deny'].flatMap((action): TagInit[] => [
  rbacTag(`istio.authorization.dry_run.${action}_policy.name`, `istio_dry_run_${action}_shadow_effective_policy_id`),
  rbacTag(`istio.authorization.dry_run.${action}_policy.result`, `istio_dry_run_${action}_shadow_engine_result`),
]);

function rbacTag(tag: string, key: string): TagInit {
  return {
    tag,
    type: {
      case: 'metadata',
      value: {
        kind: { kind: { case: 'request', value: {} } },
        metadataKey: { key: 'envoy.filters.http.rbac', path: [{ segment: { case: 'key', value: key } }] },
      },
    },
  };
}
