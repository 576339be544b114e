// Rules of Ingress: those of Kubernetes' API server, which a folder lacks, and what of an Ingress the mesh does not serve.
import type { Ingress, IngressBackend, IngressPath, IngressRule, IngressTls } from '../kinds/ingress.ts';
import { isIpAddress } from './addresses.ts';
import { conflict, doubtful, each, type Findings, fine, invalid, missing, shadowed } from './finding.ts';
import { checkPortNumber, isDnsSubdomain } from './names.ts';

/** What is wrong or doubtful in an Ingress. */
export function checkIngress({ spec }: Ingress): Findings {
  if (spec?.defaultBackend === undefined && (spec?.rules ?? []).length === 0) {
    return missing('spec', 'either defaultBackend or rules must be set');
  }
  return [
    ...(spec?.defaultBackend === undefined
      ? fine
      : [
          ...checkBackend(spec.defaultBackend, 'spec.defaultBackend'),
          ...shadowed('spec.defaultBackend', 'the mesh serves no default backend; a rule without host does the same'),
        ]),
    ...each(spec?.tls, 'spec.tls', checkTls),
    ...each(spec?.rules, 'spec.rules', checkRule),
  ];
}

function checkTls({ hosts, secretName = '' }: IngressTls, path: string): Findings {
  return [
    ...each(hosts, `${path}.hosts`, checkHost),
    ...(secretName === ''
      ? doubtful(`${path}.secretName`, 'without a Secret these hosts are not served with TLS')
      : isDnsSubdomain(secretName)
        ? fine
        : invalid(`${path}.secretName`, `"${secretName}" is not the name of a Secret`)),
  ];
}

function checkRule({ host = '', http }: IngressRule, path: string): Findings {
  return [
    ...(host === '' ? fine : checkHost(host, `${path}.host`)),
    ...(http === undefined
      ? doubtful(`${path}.http`, 'a rule without paths serves nothing')
      : (http.paths ?? []).length === 0
        ? missing(`${path}.http.paths`, 'there must be at least one path')
        : each(http.paths, `${path}.http.paths`, checkPath)),
  ];
}

function checkPath({ path = '', pathType, backend }: IngressPath, at: string): Findings {
  return [
    ...checkPathType(pathType, `${at}.pathType`),
    ...checkPathText(path, pathType, `${at}.path`),
    ...(backend === undefined
      ? missing(`${at}.backend`, 'a path must have a backend')
      : checkBackend(backend, `${at}.backend`)),
  ];
}

function checkPathType(pathType: string | undefined, at: string): Findings {
  if (pathType === undefined) return missing(at, 'pathType must be set');
  return ['Exact', 'Prefix', 'ImplementationSpecific'].includes(pathType)
    ? fine
    : invalid(at, `pathType "${pathType}" is none of Exact, Prefix, ImplementationSpecific`);
}

function checkPathText(path: string, pathType: string | undefined, at: string): Findings {
  const isFree = pathType === 'ImplementationSpecific';
  if (isFree && path === '') return fine;
  if (!path.startsWith('/')) return invalid(at, `the path "${path}" must begin with "/"`);
  if (isFree) return fine;
  if (pathType === 'Prefix' && /[?#]/.test(path)) return invalid(at, 'no path of a request holds "?" or "#"');
  const bad = /\/\/|\/\.{1,2}(?=\/|$)|%2f/i.exec(path)?.[0];
  return bad === undefined ? fine : invalid(at, `the path must not contain "${bad}"`);
}

function checkBackend({ service, resource }: IngressBackend, at: string): Findings {
  if (service !== undefined && resource !== undefined) {
    return conflict(at, 'only one of service and resource may be set');
  }
  if (resource !== undefined) return doubtful(`${at}.resource`, 'only Services are served');
  if (service === undefined) return missing(`${at}.service`, 'a backend must name a Service');
  const { name = '', port = {} } = service;
  return [
    ...(name === '' ? missing(`${at}.service.name`, 'a backend must name a Service') : fine),
    ...(port.name !== undefined && port.number !== undefined
      ? conflict(`${at}.service.port`, 'only one of name and number may be set')
      : port.number !== undefined
        ? checkPortNumber(port.number, `${at}.service.port.number`)
        : (port.name ?? '') === ''
          ? missing(`${at}.service.port`, 'a port is named by its name or number')
          : fine),
  ];
}

function checkHost(host: string, at: string): Findings {
  if (isIpAddress(host)) return invalid(at, `"${host}" is an address; a host is a DNS name`);
  const name = host.startsWith('*.') ? host.slice(2) : host;
  const help = 'lower-case labels, with *. in front for a wildcard; leave it out for all hosts';
  return isDnsSubdomain(name) ? fine : invalid(at, `"${host}" is not a host name`, help);
}
