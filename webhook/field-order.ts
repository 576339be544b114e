// Kubernetes' own order of fields in JSON text, so that annotations and variables that hold JSON equal those of Istio.
import { compareText } from '../config/object.ts';
import { isObject } from './json.ts';

/** A type's fields in order, each with the type of its value (or of its items). */
interface FieldOrder {
  readonly fields: readonly string[];
  readonly types?: { readonly [field: string]: FieldOrder };
  /** Fields that are printed as null where they are absent. */
  readonly nullable?: readonly string[];
}

const handlerTypes: { readonly [field: string]: FieldOrder } = {
  exec: { fields: ['command'] },
  httpGet: {
    fields: ['path', 'port', 'host', 'scheme', 'httpHeaders'],
    types: { httpHeaders: { fields: ['name', 'value'] } },
  },
  tcpSocket: { fields: ['port', 'host'] },
  sleep: { fields: ['seconds'] },
  grpc: { fields: ['port', 'service'], nullable: ['service'] },
};

const handler: FieldOrder = { fields: ['exec', 'httpGet', 'tcpSocket', 'sleep', 'grpc'], types: handlerTypes };

const probe: FieldOrder = {
  fields: [
    ...['exec', 'httpGet', 'tcpSocket', 'grpc', 'initialDelaySeconds', 'timeoutSeconds', 'periodSeconds'],
    ...['successThreshold', 'failureThreshold', 'terminationGracePeriodSeconds'],
  ],
  types: handlerTypes,
};

const env: FieldOrder = {
  fields: ['name', 'value', 'valueFrom'],
  types: {
    valueFrom: {
      fields: ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'],
      types: {
        fieldRef: { fields: ['apiVersion', 'fieldPath'] },
        resourceFieldRef: { fields: ['containerName', 'resource', 'divisor'] },
        configMapKeyRef: { fields: ['name', 'key', 'optional'] },
        secretKeyRef: { fields: ['name', 'key', 'optional'] },
      },
    },
  },
};

const port: FieldOrder = { fields: ['name', 'hostPort', 'containerPort', 'protocol', 'hostIP'] };

const securityContext: FieldOrder = {
  fields: [
    ...['capabilities', 'privileged', 'seLinuxOptions', 'windowsOptions', 'runAsUser', 'runAsGroup', 'runAsNonRoot'],
    ...['readOnlyRootFilesystem', 'allowPrivilegeEscalation', 'procMount', 'seccompProfile', 'appArmorProfile'],
  ],
  types: {
    capabilities: { fields: ['add', 'drop'] },
    seLinuxOptions: { fields: ['user', 'role', 'type', 'level'] },
    seccompProfile: { fields: ['type', 'localhostProfile'] },
    appArmorProfile: { fields: ['type', 'localhostProfile'] },
  },
};

const container: FieldOrder = {
  fields: [
    ...['name', 'image', 'command', 'args', 'workingDir', 'ports', 'envFrom', 'env', 'resources', 'resizePolicy'],
    ...['restartPolicy', 'restartPolicyRules', 'volumeMounts', 'volumeDevices', 'livenessProbe', 'readinessProbe'],
    ...['startupProbe', 'lifecycle', 'terminationMessagePath', 'terminationMessagePolicy', 'imagePullPolicy'],
    ...['securityContext', 'stdin', 'stdinOnce', 'tty'],
  ],
  types: {
    ports: port,
    envFrom: { fields: ['prefix', 'configMapRef', 'secretRef'] },
    env,
    resources: { fields: ['limits', 'requests', 'claims'] },
    resizePolicy: { fields: ['resourceName', 'restartPolicy'] },
    volumeMounts: {
      fields: [...['name', 'readOnly', 'recursiveReadOnly', 'mountPath', 'subPath', 'mountPropagation', 'subPathExpr']],
    },
    volumeDevices: { fields: ['name', 'devicePath'] },
    livenessProbe: probe,
    readinessProbe: probe,
    startupProbe: probe,
    lifecycle: { fields: ['postStart', 'preStop', 'stopSignal'], types: { postStart: handler, preStop: handler } },
    securityContext,
  },
};

/** JSON text of `{containers, initContainers}` as Kubernetes' own types print it. */
export function overridesText(overrides: { readonly [list: string]: readonly unknown[] }): string {
  return goJson(
    ordered(overrides, {
      fields: ['containers', 'initContainers'],
      types: { containers: container, initContainers: container },
    }),
  );
}

/** JSON text of a container port. */
export function portText(value: unknown): string {
  return goJson(ordered(value, port));
}

/** JSON text of the probes that the agent performs for the kubelet, by path. */
export function probersText(probers: { readonly [path: string]: unknown }): string {
  const prober: FieldOrder = { fields: ['httpGet', 'tcpSocket', 'grpc', 'timeoutSeconds'], types: handlerTypes };
  const paths = Object.keys(probers).sort(compareText);
  return goJson(Object.fromEntries(paths.map((path) => [path, ordered(probers[path], prober)])));
}

const proxyMessages: { readonly [field: string]: FieldOrder } = {
  tracing: {
    fields: [
      ...['zipkin', 'lightstep', 'datadog', 'stackdriver', 'openCensusAgent', 'customTags', 'maxPathTagLength'],
      ...['sampling', 'tlsSettings'],
    ],
  },
  gatewayTopology: { fields: ['numTrustedProxies', 'forwardClientCertDetails', 'proxyProtocol'] },
  readinessProbe: {
    fields: [
      ...['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'],
      ...['httpGet', 'tcpSocket', 'exec', 'grpc'],
    ],
    types: {
      httpGet: { fields: ['path', 'port', 'host', 'scheme', 'httpHeaders'] },
      tcpSocket: { fields: ['host', 'port'] },
    },
  },
  proxyStatsMatcher: { fields: ['inclusionPrefixes', 'inclusionSuffixes', 'inclusionRegexps'] },
  envoyAccessLogService: { fields: ['address', 'tlsSettings', 'tcpKeepalive'] },
  envoyMetricsService: { fields: ['address', 'tlsSettings', 'tcpKeepalive'] },
};

/** JSON text of a ProxyConfig whose own fields are in order already; those of its messages are put in order here. */
export function proxyMessageText(config: { readonly [field: string]: unknown }): string {
  return goJson(
    Object.fromEntries(
      Object.entries(config).map(([name, value]) => {
        const order = Object.hasOwn(proxyMessages, name) ? proxyMessages[name] : undefined;
        return [name, order === undefined ? value : ordered(value, order)];
      }),
    ),
  );
}

/** JSON text with the characters escaped that Go's encoder escapes. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// Fields without a known order follow in that of their names; maps (labels, quantities) are sorted as Go does.
function ordered(value: unknown, order: FieldOrder | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => ordered(item, order));
  if (!isObject(value)) return value;
  const known = order?.fields ?? [];
  const rest = Object.keys(value)
    .filter((key) => !known.includes(key))
    .sort(compareText);
  const result: Record<string, unknown> = {};
  for (const key of [...known, ...rest]) {
    if (Object.hasOwn(value, key) && value[key] !== undefined && value[key] !== null) {
      result[key] = ordered(value[key], order?.types?.[key]);
    } else if (order?.nullable?.includes(key) === true) result[key] = null;
  }
  return result;
}
