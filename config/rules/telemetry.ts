// Rules of Telemetry.
import { createRequire } from 'node:module';
import type { AccessLogging, CustomTag, Metrics, MetricsOverride, Telemetry, Tracing } from '../kinds/telemetry.ts';
import { checkDuration } from './durations.ts';
import { asWarning, conflict, doubtful, each, type Findings, fine, invalid, missing } from './finding.ts';
import { checkAttachment } from './selectors.ts';

/** What Istio's webhook refuses or warns about in a Telemetry. */
export function checkTelemetry(telemetry: Telemetry): Findings {
  const spec = telemetry.spec ?? {};
  return [
    ...checkAttachment(spec),
    ...each(spec.metrics, 'spec.metrics', checkMetrics),
    ...((spec.tracing ?? []).length > 1
      ? doubtful('spec.tracing', 'multiple tracing is not currently supported')
      : fine),
    ...each(spec.tracing, 'spec.tracing', checkTracing),
    ...each(spec.accessLogging, 'spec.accessLogging', checkAccessLogging),
  ];
}

type Providers = Tracing['providers'];

function checkProviders(providers: Providers, path: string): Findings {
  return each(providers, path, ({ name }, at) =>
    (name ?? '') === '' ? missing(`${at}.name`, 'providers.name may not be empty') : fine,
  );
}

function checkTracing(tracing: Tracing, path: string): Findings {
  const share = tracing.randomSamplingPercentage;
  return [
    ...((tracing.providers ?? []).length > 1
      ? doubtful(`${path}.providers`, 'multiple providers is not currently supported')
      : fine),
    ...checkProviders(tracing.providers, `${path}.providers`),
    ...(share === undefined || (share >= 0 && share <= 100)
      ? fine
      : invalid(`${path}.randomSamplingPercentage`, 'randomSamplingPercentage must be in range [0.0, 100.0]')),
    ...Object.entries(tracing.customTags ?? {}).flatMap(([name, tag]) =>
      checkTag(name, tag, `${path}.customTags.${name}`),
    ),
  ];
}

function checkTag(name: string, tag: CustomTag, path: string): Findings {
  const filled = (value: string | undefined, what: string): Findings =>
    value === undefined || value === '' ? missing(path, `${what} may not be empty`) : fine;
  return [
    ...(name === '' ? missing(path, 'tag name may not be empty') : fine),
    ...(tag.literal === undefined ? fine : filled(tag.literal.value, 'literal tag value')),
    ...(tag.environment === undefined ? fine : filled(tag.environment.name, 'environment tag name')),
    ...(tag.header === undefined ? fine : filled(tag.header.name, 'header tag name')),
    // As above.
    ...(tag.formatter === undefined ? fine : filled(tag.formatter.value, 'formatter tag value').map(asWarning)),
  ];
}

function checkMetrics(metrics: Metrics, path: string): Findings {
  return [
    ...checkProviders(metrics.providers, `${path}.providers`),
    // Istio's webhook leaves it to the CRD, which refuses it.
    ...checkDuration(metrics.reportingInterval, `${path}.reportingInterval`).map(asWarning),
    ...each(metrics.overrides, `${path}.overrides`, checkOverride),
  ];
}

function checkOverride(override: MetricsOverride, path: string): Findings {
  return [
    ...(override.match?.customMetric === ''
      ? missing(`${path}.match.customMetric`, 'customMetric may not be empty')
      : fine),
    ...Object.entries(override.tagOverrides ?? {}).flatMap(([name, tag]) => {
      const at = `${path}.tagOverrides.${name}`;
      const value = tag.value ?? '';
      const named: Findings = name === '' ? doubtful(at, 'tagOverrides.name may not be empty') : fine;
      const upsert = (tag.operation ?? 'UPSERT') === 'UPSERT';
      return [
        ...named,
        ...(upsert && value === ''
          ? missing(`${at}.value`, 'tagOverrides.value must be set when operation is UPSERT')
          : fine),
        ...(!upsert && value !== ''
          ? conflict(`${at}.value`, 'tagOverrides.value may only be set when operation is UPSERT')
          : fine),
      ];
    }),
  ];
}

function checkAccessLogging(logging: AccessLogging, path: string): Findings {
  return [
    ...checkProviders(logging.providers, `${path}.providers`),
    ...(logging.filter === undefined
      ? fine
      : checkExpression(logging.filter.expression ?? '', `${path}.filter.expression`)),
  ];
}

// Loaded with the first expression: 36 modules that most meshes never need, and rules are checked synchronously.
const require = createRequire(import.meta.url);

/** Longest CEL expression that is read, in characters: reading takes some 20 µs for each term. */
const longestExpression = 8192;

function checkExpression(expression: string, path: string): Findings {
  if (expression.length > longestExpression) {
    return invalid(path, `must be a CEL expression of at most ${longestExpression} characters`);
  }
  const { parse } = require('@bufbuild/cel') as typeof import('@bufbuild/cel');
  try {
    parse(expression);
    return fine;
  } catch (error) {
    const reason = error instanceof Error ? error.message.slice(0, 200) : 'it cannot be parsed';
    return invalid(path, `must be a valid CEL expression: ${reason}`);
  }
}
