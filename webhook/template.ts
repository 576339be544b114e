// The built-in templates by name, and which of them a pod asks for.
import { agentlessOverlay } from './agentless.ts';
import type { InjectionSettings, Overlay, TemplateContext } from './context.ts';
import { gatewayOverlay, waypointOverlay } from './gateway.ts';
import { grpcAgentOverlay, grpcSimpleOverlay } from './grpc.ts';
import { annotationsOf, type Pod } from './pod.ts';
import { sidecarOverlay } from './sidecar.ts';

/** A template: what it lays over a pod in a context. */
export type Template = (context: TemplateContext) => Overlay;

/** Every template there is. User-supplied Go templates are refused where the ConfigMap is read (config-map.ts). */
export const templates: Readonly<Record<string, Template>> = {
  sidecar: (context) => (isAgentless(context) ? agentlessOverlay(context, 'sidecar') : sidecarOverlay(context)),
  gateway: (context) => (isAgentless(context) ? agentlessOverlay(context, 'router') : gatewayOverlay(context)),
  waypoint: (context) => (isAgentless(context) ? agentlessOverlay(context, 'waypoint') : waypointOverlay(context)),
  'grpc-agent': grpcAgentOverlay,
  'grpc-simple': grpcSimpleOverlay,
};

/** Whether the pod's proxy is a plain upstream Envoy: its annotation `meltemi.io/proxy`, else `global.agentless`. */
export function isAgentless(context: Pick<TemplateContext, 'annotations' | 'values'>): boolean {
  const chosen = context.annotations['meltemi.io/proxy'];
  return chosen === undefined ? context.values.agentless.enabled : chosen === 'envoy';
}

/** The names of the templates for a pod: its annotation, else the settings' default; aliases are replaced. */
export function templateNamesOf(pod: Pod, settings: InjectionSettings): readonly string[] {
  const asked = annotationsOf(pod)['inject.istio.io/templates'];
  const names = asked === undefined ? settings.defaultTemplates : asked.split(',').map((name) => name.trim());
  return names.flatMap((name) =>
    Object.hasOwn(settings.templateAliases, name) ? (settings.templateAliases[name] ?? []) : [name],
  );
}
