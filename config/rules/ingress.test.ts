// Rules of Ingress, one case each.
import { describe, expect, test } from 'vitest';
import { validate } from '../validate.ts';

const service = { name: 'web', port: { number: 80 } };
const path = { path: '/', pathType: 'Prefix', backend: { service } };

function findingsOf(spec: object): readonly string[] {
  const metadata = { name: 'in', namespace: 'shop' };
  const { object, diagnostics } = validate({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata, spec });
  expect(object === undefined).toBe(diagnostics.some(({ severity }) => severity === 'error'));
  return diagnostics.map(({ severity, code, path: at, object: ref, message }) => {
    expect(ref).toEqual({ kind: 'Ingress', namespace: 'shop', name: 'in' });
    return `${severity} ${code} ${at}: ${message}`;
  });
}

const onPath = (over: object) => ({ rules: [{ http: { paths: [{ ...path, ...over }] } }] });
const onService = (over: object) => onPath({ backend: { service: { ...service, ...over } } });
const onHost = (host: string) => ({ rules: [{ host, http: { paths: [path] } }] });

describe('nothing to say of', () => {
  test.each([
    ['a path', onPath({})],
    ['hosts', onHost('a.example.com')],
    ['a wildcard', onHost('*.example.com')],
    ['a named port', onService({ port: { name: 'http' } })],
    ['expressions of other controllers', onPath({ path: '/a(/|$)?(.*)', pathType: 'ImplementationSpecific' })],
    ['no path', onPath({ path: undefined, pathType: 'ImplementationSpecific' })],
    ['dots within a segment', onPath({ path: '/.well-known/a..b', pathType: 'Exact' })],
    ['TLS', { ...onPath({}), tls: [{ hosts: ['a.com'], secretName: 'cert' }, { secretName: 'other.cert' }] }],
    ['fields that are not read', { ...onPath({}), resources: 7 }],
  ])('%s', (_what, spec) => {
    expect(findingsOf(spec)).toEqual([]);
  });
});

describe('refused:', () => {
  const at = 'spec.rules[0].http.paths[0]';
  test.each([
    ['nothing at all', {}, 'missing-field spec: either'],
    ['an unknown pathType', onPath({ pathType: 'Regex' }), `invalid-value ${at}.pathType: pathType "Regex"`],
    ['no pathType', onPath({ pathType: undefined }), `missing-field ${at}.pathType: `],
    ['a relative path', onPath({ path: 'a' }), `invalid-value ${at}.path: the path "a" must begin with "/"`],
    ['no path', onPath({ path: undefined }), `invalid-value ${at}.path: the path ""`],
    ['an empty segment', onPath({ path: '/a//b' }), `invalid-value ${at}.path: the path must not contain "//"`],
    ['a step up', onPath({ path: '/a/..' }), `invalid-value ${at}.path: the path must not contain "/.."`],
    ['an encoded slash', onPath({ path: '/a%2Fb' }), `invalid-value ${at}.path: the path must not contain "%2F"`],
    ['a query', onPath({ path: '/a?b' }), `invalid-value ${at}.path: no path`],
    ['no backend', onPath({ backend: undefined }), `missing-field ${at}.backend: a path`],
    ['an empty backend', onPath({ backend: {} }), `missing-field ${at}.backend.service: a backend`],
    ['two backends', onPath({ backend: { service, resource: {} } }), `conflicting-fields ${at}.backend: only one`],
    ['no name', onService({ name: '' }), `missing-field ${at}.backend.service.name: `],
    ['no port', onService({ port: {} }), `missing-field ${at}.backend.service.port: `],
    ['two ports', onService({ port: { name: 'a', number: 1 } }), `conflicting-fields ${at}.backend.service.port: `],
    ['port 0', onService({ port: { number: 0 } }), `invalid-value ${at}.backend.service.port.number: `],
    ['no paths', { rules: [{ http: { paths: [] } }] }, 'missing-field spec.rules[0].http.paths: '],
    ['an address', onHost('10.0.0.1'), 'invalid-value spec.rules[0].host: "10.0.0.1" is an address'],
    ['every host', onHost('*'), 'invalid-value spec.rules[0].host: "*" is not'],
    ['a partial wildcard', onHost('*a.com'), 'invalid-value spec.rules[0].host: "*a.com" is not'],
    ['capitals', onHost('A.com'), 'invalid-value spec.rules[0].host: "A.com" is not'],
    [
      'TLS for no host',
      { ...onPath({}), tls: [{ hosts: ['a b'], secretName: 'x' }] },
      'invalid-value spec.tls[0].hosts[0]: ',
    ],
    ["another's Secret", { ...onPath({}), tls: [{ secretName: 'ns/x' }] }, 'invalid-value spec.tls[0].secretName: '],
  ])('%s', (_what, spec, finding) => {
    expect(findingsOf(spec)).toEqual([expect.stringContaining(`error ${finding}`)]);
  });
});

describe('not served, and said so:', () => {
  test.each([
    ['a default backend', { defaultBackend: { service } }, 'shadowed-config spec.defaultBackend: '],
    ['a rule without paths', { rules: [{ host: 'a.com' }] }, 'invalid-value spec.rules[0].http: '],
    ['another object', onPath({ backend: { resource: { kind: 'B' } } }), 'backend.resource: only Services'],
    ['TLS without a Secret', { ...onPath({}), tls: [{ hosts: ['a.com'] }] }, 'invalid-value spec.tls[0].secretName: '],
  ])('%s', (_what, spec, finding) => {
    expect(findingsOf(spec)).toEqual([expect.stringMatching(/^warning /)]);
    expect(findingsOf(spec)[0]).toContain(finding);
  });
});
