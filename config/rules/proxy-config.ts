// Rules of ProxyConfig.
import type { ProxyConfigObject } from '../kinds/proxy-config.ts';
import { type Findings, fine, invalid } from './finding.ts';
import { checkSelector } from './selectors.ts';

/** What Istio's webhook refuses or warns about in a ProxyConfig. */
export function checkProxyConfig(config: ProxyConfigObject): Findings {
  const spec = config.spec ?? {};
  return [
    ...checkSelector(spec.selector, 'spec.selector'),
    ...((spec.concurrency ?? 0) < 0
      ? invalid('spec.concurrency', 'concurrency must be greater than or equal to 0')
      : fine),
  ];
}
