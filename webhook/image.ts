// The proxy's image: registry, name, tag and variant.
import { objectOf } from './json.ts';
import { type ProxyConfig, textField } from './proxy-config.ts';
import type { InjectorValues } from './values.ts';

const variants = ['distroless', 'debug'];

/**
 * The image for a proxy. The variant comes from the annotation `sidecar.istio.io/proxyImageType`, else ProxyConfig's
 * `image.imageType`, else the values. `default` means the plain image. A tag that names a variant already keeps it
 * only if nothing else is asked for; an `image` with a slash is taken as it is, else it is a name in the values' hub.
 */
export function proxyImageOf(
  values: InjectorValues,
  image: string,
  config: ProxyConfig,
  annotations: Readonly<Record<string, string>>,
): string {
  if (image.includes('/')) return image;
  const configured = textField(objectOf(config['image']), 'imageType') || values.variant;
  const type = annotations['sidecar.istio.io/proxyImageType'] ?? configured;
  return `${values.hub}/${image}${taggedWith(values.tag, type)}`;
}

function taggedWith(tag: string, type: string): string {
  // A digest names one image; no variant can be derived from it.
  if (tag.startsWith('sha256:')) return `@${tag}`;
  const suffix = variants.find((variant) => tag.endsWith(`-${variant}`));
  const plain = suffix === undefined ? tag : tag.slice(0, -(suffix.length + 1));
  if (type === 'default') return `:${plain}`;
  if (type === '') return `:${tag}`;
  return `:${plain}-${type}`;
}
