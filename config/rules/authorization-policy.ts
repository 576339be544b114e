// Rules of AuthorizationPolicy.
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationPolicy,
  AuthorizationRule,
  AuthorizationSource,
} from '../kinds/authorization-policy.ts';
import { checkCondition, checkIps, checkNoEmpty, checkPathTemplates, checkPorts } from './authorization-values.ts';
import { conflict, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkAttachment } from './selectors.ts';

type Action = NonNullable<NonNullable<AuthorizationPolicy['spec']>['action']>;

/** What Istio's webhook refuses or warns about in an AuthorizationPolicy. */
export function checkAuthorizationPolicy(policy: AuthorizationPolicy): Findings {
  const spec = policy.spec ?? {};
  const action = spec.action ?? 'ALLOW';
  return [
    ...checkAttachment(spec),
    ...checkAction(policy, action),
    ...each(spec.rules, 'spec.rules', (rule, path) => [
      ...checkRule(rule, action, path),
      ...(action === 'DENY' && deniesAllTcp(rule)
        ? doubtful(
            path,
            'the policy will deny all traffic to TCP ports under its scope due to the use of only HTTP attributes in a DENY rule; say the port',
          )
        : fine),
    ]),
  ];
}

function checkAction(policy: AuthorizationPolicy, action: Action): Findings {
  const spec = policy.spec ?? {};
  const ruleless = (spec.rules ?? []).length === 0;
  const dryRun = policy.metadata.annotations?.['istio.io/dry-run'];
  return [
    ...(action === 'CUSTOM' && (spec.provider?.name ?? '') === ''
      ? missing('spec.provider.name', '`provider.name` must not be empty')
      : fine),
    ...(action !== 'CUSTOM' && spec.provider !== undefined
      ? conflict('spec.provider', `\`provider\` must not be with non CUSTOM action, found ${action}`)
      : fine),
    ...(ruleless && (action === 'DENY' || action === 'CUSTOM')
      ? missing(
          'spec.rules',
          `${action} action without \`rules\` is meaningless as it will never be triggered; add an empty rule \`{}\` for every request`,
        )
      : fine),
    ...(dryRun === undefined ? fine : checkDryRun(dryRun, action)),
  ];
}

/** What Go's strconv.ParseBool takes. */
const booleans = /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/;

function checkDryRun(value: string, action: Action): Findings {
  const path = 'metadata.annotations["istio.io/dry-run"]';
  if (!booleans.test(value)) return invalid(path, 'the annotation istio.io/dry-run must be true or false');
  return action === 'ALLOW' || action === 'DENY'
    ? fine
    : invalid(
        path,
        `the annotation istio.io/dry-run currently only supports action ALLOW/DENY, found action ${action}`,
      );
}

function checkRule(rule: AuthorizationRule, action: Action, path: string): Findings {
  return [
    ...each(rule.from, `${path}.from`, ({ source }, at) =>
      source === undefined
        ? missing(`${at}.source`, '`from.source` must not be nil')
        : checkSource(source, action, `${at}.source`),
    ),
    ...each(rule.to, `${path}.to`, ({ operation }, at) =>
      operation === undefined
        ? missing(`${at}.operation`, '`to.operation` must not be nil')
        : checkOperation(operation, `${at}.operation`),
    ),
    ...each(rule.when, `${path}.when`, (condition, at) => checkWhen(condition, action, at)),
  ];
}

/** Fields of a source that come from the peer's certificate or a token, which CUSTOM cannot use: it is asked before. */
const notForCustom = [
  'namespaces',
  'notNamespaces',
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'notRequestPrincipals',
] as const;

function checkSource(source: AuthorizationSource, action: Action, path: string): Findings {
  const set = (...names: readonly (keyof AuthorizationSource)[]) => names.some((name) => source[name]?.length);
  return [
    ...(set(...(Object.keys(source) as (keyof AuthorizationSource)[]))
      ? fine
      : missing(path, '`from.source` must not be empty')),
    ...(set('serviceAccounts', 'notServiceAccounts') &&
    set('principals', 'notPrincipals', 'namespaces', 'notNamespaces')
      ? conflict(path, 'cannot set serviceAccounts with namespaces or principals')
      : fine),
    ...(action === 'CUSTOM'
      ? notForCustom.flatMap((name) =>
          set(name)
            ? invalid(`${path}.${name}`, `From.${capital(name)} is currently not supported with CUSTOM action`)
            : fine,
        )
      : fine),
    ...checkIps(source.ipBlocks, `${path}.ipBlocks`),
    ...checkIps(source.notIpBlocks, `${path}.notIpBlocks`),
    ...checkIps(source.remoteIpBlocks, `${path}.remoteIpBlocks`),
    ...checkIps(source.notRemoteIpBlocks, `${path}.notRemoteIpBlocks`),
    ...each(source.serviceAccounts, `${path}.serviceAccounts`, checkServiceAccount),
    ...each(source.notServiceAccounts, `${path}.notServiceAccounts`, checkServiceAccount),
    ...Object.entries(source).flatMap(([name, values]) =>
      name.endsWith('erviceAccounts') ? fine : checkNoEmpty(values, `${path}.${name}`, capital(name)),
    ),
  ];
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function checkServiceAccount(account: string, path: string): Findings {
  if (account === '') return missing(path, 'empty value not allowed, found in ServiceAccounts');
  if (account.includes('*')) return invalid(path, 'wildcard not allowed, found in ServiceAccounts');
  const parts = account.split('/');
  return parts.length > 2
    ? invalid(path, `expected format 'serviceAccount' or 'namespace/serviceAccount', found "${account}"`)
    : parts.flatMap((part) =>
        part === '' ? missing(path, 'empty value not allowed, found in ServiceAccounts') : fine,
      );
}

function checkOperation(operation: AuthorizationOperation, path: string): Findings {
  const lists = Object.entries(operation);
  return [
    ...(lists.some(([, values]) => values.length > 0) ? fine : missing(path, '`to.operation` must not be empty')),
    ...checkPorts(operation.ports, `${path}.ports`),
    ...checkPorts(operation.notPorts, `${path}.notPorts`),
    ...lists.flatMap(([name, values]) => checkNoEmpty(values, `${path}.${name}`, capital(name))),
    ...checkPathTemplates(operation.paths, `${path}.paths`),
    ...checkPathTemplates(operation.notPaths, `${path}.notPaths`),
  ];
}

function checkWhen(condition: AuthorizationCondition, action: Action, path: string): Findings {
  const key = condition.key ?? '';
  if (key === '') return missing(`${path}.key`, '`key` must not be empty');
  const { values = [], notValues = [] } = condition;
  const unusable = key === 'source.namespace' || key === 'source.principal' || key.startsWith('request.auth.');
  return [
    ...(values.length === 0 && notValues.length === 0
      ? missing(path, `at least one of \`values\` or \`notValues\` must be set for key ${key}`)
      : fine),
    ...(action === 'CUSTOM' && unusable
      ? invalid(`${path}.key`, `${key} is currently not supported with CUSTOM action`)
      : fine),
    ...checkCondition(key, values, `${path}.values`),
    ...checkCondition(key, notValues, `${path}.notValues`),
  ];
}

/**
 * Whether a DENY rule says nothing that a TCP connection has: on TCP ports HTTP attributes are left out of the rule,
 * which then matches everything.
 */
function deniesAllTcp(rule: AuthorizationRule): boolean {
  const { from = [], to = [] } = rule;
  if (to.length > 0) {
    return !to.some(({ operation }) => (operation?.ports ?? []).length + (operation?.notPorts ?? []).length > 0);
  }
  const usesTcp = (source: AuthorizationSource | undefined) =>
    Object.entries(source ?? {}).some(([name, list]) => !/equestPrincipals$/.test(name) && list.length > 0);
  return from.length > 0 && !from.some(({ source }) => usesTcp(source));
}
