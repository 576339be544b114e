// Rules of references to Gateways: `namespace/name`, or a name in the own namespace.
import { doubtful, type Findings, fine, invalid } from './finding.ts';
import { checkDomain, isDnsLabel } from './names.ts';

/**
 * Checks references to gateways. As in Istio, the first one without a namespace ends the check: `mesh`, a name, or the
 * old form `name.namespace.svc.cluster.local`.
 */
export function checkGatewayNames(names: readonly string[] | undefined, path: string): Findings {
  const found: Findings[] = [];
  for (const [index, name] of (names ?? []).entries()) {
    const at = `${path}[${index}]`;
    const slash = name.indexOf('/');
    if (slash < 0) {
      const old = name.includes('.')
        ? doubtful(at, `gateway "${name}" is in a legacy form; write namespace/name`)
        : fine;
      return [...found.flat(), ...old, ...checkDomain(name, at)];
    }
    found.push(checkQualified(name.slice(0, slash), name.slice(slash + 1), at));
  }
  return found.flat();
}

function checkQualified(namespace: string, name: string, path: string): Findings {
  return [
    ...(namespace === '' || name === '' ? invalid(path, 'config namespace and gateway name cannot be empty') : fine),
    ...(isDnsLabel(namespace) ? fine : invalid(path, `invalid value for namespace: "${namespace}"`)),
    ...(isDnsLabel(name) ? fine : invalid(path, `invalid value for gateway name: "${name}"`)),
  ];
}
