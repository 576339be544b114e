// Probes and lifecycle calls of the application go through the agent, because the kubelet has no mesh certificate.
import { booleanOf } from './annotations.ts';
import type { InjectionSettings } from './context.ts';
import { probersText } from './field-order.ts';
import { isObject, type JsonObject } from './json.ts';
import {
  annotationsOf,
  type Container,
  type EnvVar,
  type Handler,
  type Lifecycle,
  type Pod,
  proxyName,
  withProxy,
} from './pod.ts';

/** The variable in which the agent finds the calls to make. */
const proberVariable = 'ISTIO_KUBE_APP_PROBERS';

const actions = ['httpGet', 'tcpSocket', 'grpc'] as const;

const probes = { readinessProbe: 'readyz', livenessProbe: 'livez', startupProbe: 'startupz' } as const;
const hooks = { preStop: 'prestopz', postStart: 'poststartz' } as const;

/** Whether probes are to be rewritten: the pod's annotation, else the value. */
export function rewritesProbes(pod: Pod, settings: InjectionSettings): boolean {
  const said = annotationsOf(pod)['sidecar.istio.io/rewriteAppHTTPProbers'];
  return (said === undefined ? undefined : booleanOf(said)) ?? settings.values.rewriteAppHttpProbe;
}

/**
 * Points every HTTP, TCP and gRPC probe and lifecycle handler of the application at the agent's port and tells the
 * agent what to call instead, beside what an earlier injection told it. Handlers of kind exec and sleep, and those that
 * point at the agent already, stay.
 */
export function rewriteProbes(pod: Pod, defaultPort: number, statusPort: number, wasInjected: boolean): Pod {
  const probers = probersOf(pod, defaultPort);
  const told =
    Object.keys(probers).length === 0
      ? pod
      : withProxy(pod, (proxy) => ({
          ...proxy,
          env: wasInjected ? mergedEnv(proxy.env ?? [], probers) : [...(proxy.env ?? []), envOf(probers)],
        }));
  return redirectProbes(told, statusPort);
}

/** Points the handlers at a port, whoever answers there. */
export function redirectProbes(pod: Pod, statusPort: number): Pod {
  const rewrite = (containers: readonly Container[] | undefined) =>
    containers?.map((container) =>
      container.name === proxyName ? container : rewriteContainer(container, statusPort),
    );
  const { spec } = pod;
  return {
    ...pod,
    spec: {
      ...spec,
      ...(spec?.containers === undefined ? {} : { containers: rewrite(spec.containers) ?? [] }),
      ...(spec?.initContainers === undefined ? {} : { initContainers: rewrite(spec.initContainers) ?? [] }),
    },
  };
}

function envOf(probers: Record<string, JsonObject>): EnvVar {
  return { name: proberVariable, value: probersText(probers) };
}

// An earlier injection's probes point at the agent by now; only its variable still knows where they led.
function mergedEnv(env: readonly EnvVar[], probers: Record<string, JsonObject>): readonly EnvVar[] {
  const at = env.findIndex((variable) => variable.name === proberVariable);
  const known = at < 0 ? undefined : proberMap(env[at]?.value ?? '');
  if (known === undefined) return [...env, envOf(probers)];
  return env.map((variable, i) => (i === at ? envOf({ ...known, ...probers }) : variable));
}

function proberMap(text: string): Record<string, JsonObject> | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isObject(parsed)) return undefined;
    return Object.fromEntries(Object.entries(parsed).filter((pair): pair is [string, JsonObject] => isObject(pair[1])));
  } catch {
    return undefined;
  }
}

/** The application's handlers by the path that stands for them, with port names resolved; those that lead nowhere are left out. */
export function probersOf(pod: Pod, statusPort: number): Record<string, JsonObject> {
  const result: Record<string, JsonObject> = {};
  for (const container of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
    if (container.name === proxyName) continue;
    const ports = new Map(
      (container.ports ?? []).flatMap((p) => (p.name === undefined ? [] : [[p.name, p.containerPort]])),
    );
    const add = (path: string, handler: Handler | undefined, timeout: number | undefined) => {
      const prober = handler === undefined ? undefined : proberOf(handler, ports, statusPort);
      if (prober === undefined) return;
      result[path] = { ...prober, ...(timeout === undefined || timeout === 0 ? {} : { timeoutSeconds: timeout }) };
    };
    for (const [field, name] of Object.entries(probes)) {
      const probe = container[field as keyof typeof probes];
      add(`/app-health/${container.name}/${name}`, probe, probe?.timeoutSeconds);
    }
    for (const [field, name] of Object.entries(hooks)) {
      add(`/app-lifecycle/${container.name}/${name}`, container.lifecycle?.[field as keyof typeof hooks], undefined);
    }
  }
  return result;
}

function proberOf(handler: Handler, ports: ReadonlyMap<unknown, unknown>, statusPort: number): JsonObject | undefined {
  const action = actions.find((name) => handler[name] !== undefined);
  if (action === undefined) return undefined;
  const call = handler[action] ?? {};
  if (action === 'grpc') return { grpc: call };
  const port = typeof call['port'] === 'string' ? ports.get(call['port']) : call['port'];
  if (port === undefined || (typeof call['port'] !== 'string' && port === statusPort)) return undefined;
  return { [action]: { ...call, port } };
}

function rewriteContainer(container: Container, statusPort: number): Container {
  const result: Record<string, unknown> = { ...container };
  for (const [field, name] of Object.entries(probes)) {
    const probe = container[field as keyof typeof probes];
    if (probe !== undefined) result[field] = rewriteHandler(probe, `/app-health/${container.name}/${name}`, statusPort);
  }
  if (container.lifecycle !== undefined) {
    const lifecycle: Record<string, unknown> = { ...container.lifecycle };
    for (const [field, name] of Object.entries(hooks)) {
      const hook = container.lifecycle[field as keyof typeof hooks];
      if (hook !== undefined)
        lifecycle[field] = rewriteHandler(hook, `/app-lifecycle/${container.name}/${name}`, statusPort);
    }
    result['lifecycle'] = lifecycle as Lifecycle;
  }
  return result as unknown as Container;
}

function rewriteHandler(handler: Handler, path: string, port: number): Handler {
  if (handler.httpGet !== undefined) {
    // The agent itself uses HTTPS towards the application; the kubelet's call to the agent is plain.
    const scheme = handler.httpGet['scheme'] === 'HTTPS' ? { scheme: 'HTTP' } : {};
    return { ...handler, httpGet: { ...handler.httpGet, path, port, ...scheme } };
  }
  if (handler.tcpSocket === undefined && handler.grpc === undefined) return handler;
  const { tcpSocket: _tcp, grpc: _grpc, ...rest } = handler;
  return { ...rest, httpGet: { path, port } };
}
