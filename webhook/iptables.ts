// The init container that sets up packet redirection, or the one that checks that the CNI plugin has set it up.
import type { TemplateContext } from './context.ts';
import type { JsonObject } from './json.ts';
import { annotated, metadataEnv, pullPolicyOf, resourcesOf, statusPortOf } from './parts.ts';
import { type Container, initName, validationName } from './pod.ts';

// The older name of `istio.io/reroute-virtual-interfaces`.
const kubevirtInterfaces = 'traffic.sidecar.istio.io/kubevirtInterfaces';

/** The container; `image` is the proxy's. */
export function redirectionContainer(context: TemplateContext): Container {
  const { values } = context;
  const env = metadataEnv(context);
  const custom = annotated(context, 'sidecar.istio.io/proxyImage', values.init.image);
  return {
    name: values.cni.enabled ? validationName : initName,
    image: custom.includes('/') ? custom : context.initImage,
    args: redirectionArgs(context),
    ...pullPolicyOf(context),
    ...(env.length === 0 ? {} : { env }),
    resources: resourcesOf(context),
    securityContext: securityContextOf(context),
  };
}

/** Settings of redirection as a pod's annotations and the values give them. */
export interface RedirectionSettings {
  readonly includeOutboundRanges: string;
  readonly excludeOutboundRanges: string;
  readonly includeInboundPorts: string;
  readonly excludeInboundPorts: string;
  readonly includeOutboundPorts: string | undefined;
  readonly excludeOutboundPorts: string | undefined;
}

/** Reads them; the ports that the proxy itself listens on are excluded from capture. */
export function redirectionOf(context: TemplateContext): RedirectionSettings {
  const { proxy } = context.values;
  const traffic = (name: string, fallback: string) => annotated(context, `traffic.sidecar.istio.io/${name}`, fallback);
  const optional = (name: string, fallback: string) => {
    const isSet = Object.hasOwn(context.annotations, `traffic.sidecar.istio.io/${name}`);
    return isSet || fallback !== '' ? traffic(name, fallback) : undefined;
  };
  return {
    includeOutboundRanges: traffic('includeOutboundIPRanges', proxy.includeIpRanges),
    excludeOutboundRanges: traffic('excludeOutboundIPRanges', proxy.excludeIpRanges),
    includeInboundPorts: traffic('includeInboundPorts', proxy.includeInboundPorts),
    excludeInboundPorts: withStatusPort(
      statusPortOf(context),
      traffic('excludeInboundPorts', proxy.excludeInboundPorts),
    ),
    includeOutboundPorts: optional('includeOutboundPorts', proxy.includeOutboundPorts),
    excludeOutboundPorts: optional('excludeOutboundPorts', proxy.excludeOutboundPorts),
  };
}

function withStatusPort(statusPort: string, excluded: string): string {
  const port = statusPort.trim();
  if (port === '' || port === '0') return excluded;
  const ports = excluded
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  return ports.includes(port) ? ports.join(',') : [...ports, port].join(',');
}

function redirectionArgs(context: TemplateContext): readonly string[] {
  const { values, mesh, annotations } = context;
  const settings = redirectionOf(context);
  const option = (flag: string, value: string | undefined) => (value === undefined ? [] : [flag, value]);
  return [
    ...['istio-iptables', '-p', String(mesh.proxyListenPort), '-z', String(mesh.proxyInboundListenPort)],
    ...['-u', context.interceptionMode === 'TPROXY' ? '1337' : String(context.uid)],
    ...['-m', context.interceptionMode],
    ...['-i', settings.includeOutboundRanges, '-x', settings.excludeOutboundRanges],
    ...['-b', settings.includeInboundPorts],
    ...['-d', ['15090', '15021', settings.excludeInboundPorts].filter((ports) => ports !== '').join(',')],
    ...option('-q', settings.includeOutboundPorts),
    ...option('-o', settings.excludeOutboundPorts),
    ...option('-k', annotations['istio.io/reroute-virtual-interfaces'] ?? annotations[kubevirtInterfaces]),
    ...option('-c', annotations['traffic.sidecar.istio.io/excludeInterfaces']),
    `--log_output_level=${annotated(context, 'sidecar.istio.io/agentLogLevel', values.logLevel)}`,
    ...(values.logAsJson ? ['--log_as_json'] : []),
    ...(values.cni.enabled ? ['--run-validation', '--skip-rule-apply'] : []),
    ...(!values.cni.enabled && values.init.forceApplyIptables ? ['--force-apply'] : []),
    ...(values.nativeNftables ? ['--native-nftables'] : []),
  ];
}

function securityContextOf(context: TemplateContext): JsonObject {
  const { values, uid, gid } = context;
  const { privileged, seccompProfile } = values.proxy;
  const seccomp = Object.keys(seccompProfile).length === 0 ? {} : { seccompProfile };
  if (values.cni.enabled) {
    return {
      allowPrivilegeEscalation: privileged,
      privileged,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
      runAsGroup: gid,
      runAsUser: uid,
      runAsNonRoot: true,
      ...seccomp,
    };
  }
  return {
    allowPrivilegeEscalation: privileged,
    privileged,
    capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
    readOnlyRootFilesystem: false,
    runAsGroup: 0,
    runAsNonRoot: false,
    runAsUser: 0,
    ...seccomp,
  };
}
