// Telemetry: what proxies measure, trace and log.
import { ageColumn, meshStatus, targetRef, workloadSelector } from './common.ts';
import { atMostOneOf } from './crd-keywords.ts';
import { choice, decimal, duration, flag, listOf, mapOf, message, text, type ValueOf } from './field.ts';
import { defineKind, type ObjectOfDef } from './kind.ts';

const nonEmpty = { crd: { minLength: 1 } };
const nullable = { crd: { nullable: true } };

const mode = choice(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER'], 'At which end of a connection.');
const providers = listOf(
  message(
    'A provider.',
    { name: text('Name of the provider in the mesh settings.', nonEmpty) },
    {
      crd: { required: ['name'] },
    },
  ),
  'Where the data goes; the default providers of the mesh when absent.',
);

const customTag = message(
  'Where the value of a tag comes from.',
  {
    literal: message('A fixed text.', { value: text('The text.', nonEmpty) }, { crd: { required: ['value'] } }),
    environment: message(
      'An environment variable of the proxy.',
      { name: text('Variable name.', nonEmpty), defaultValue: text('Value where it is not set.') },
      { crd: { required: ['name'] } },
    ),
    header: message(
      'A request header.',
      { name: text('Header name.', nonEmpty), defaultValue: text('Value where it is absent.') },
      { crd: { required: ['name'] } },
    ),
    formatter: message(
      "A text with Envoy's command operators.",
      { value: text('The format.', nonEmpty) },
      { crd: { required: ['value'] } },
    ),
  },
  { oneofs: [['literal', 'environment', 'header', 'formatter']] },
);
export type CustomTag = ValueOf<typeof customTag>;

const tracing = message('How requests are traced.', {
  match: message('Which side is meant.', { mode }),
  providers,
  randomSamplingPercentage: decimal('Share of requests that are traced, from 0.00 to 100.00.', {
    crd: { minimum: 0, maximum: 100, nullable: true },
  }),
  disableSpanReporting: flag('Reports no spans, but passes trace headers on.', nullable),
  customTags: mapOf(customTag, 'Tags added to spans, by name.'),
  useRequestIdForTraceSampling: flag('Lets the request id carry the sampling decision.', nullable),
  enableIstioTags: flag("Adds the mesh's own tags to spans.", nullable),
  disableContextPropagation: flag('Passes no trace headers on.', nullable),
});
export type Tracing = ValueOf<typeof tracing>;

const tagOverride = message(
  'A change of one tag of a metric.',
  {
    operation: choice(['UPSERT', 'REMOVE'], 'Sets or removes the tag.'),
    value: text('CEL expression of the value; UPSERT only.'),
  },
  {
    crd: {
      rules: [
        {
          message: 'value must be set when operation is UPSERT',
          rule: "((has(self.operation) ? self.operation : '') == 'UPSERT') ? (self.value != '') : true",
        },
        {
          message: 'value must not be set when operation is REMOVE',
          rule: "((has(self.operation) ? self.operation : '') == 'REMOVE') ? !has(self.value) : true",
        },
      ],
    },
  },
);

const metricsOverride = message('A change of some metrics.', {
  match: message(
    'Which metrics are meant; all when absent.',
    {
      metric: choice(
        [
          'ALL_METRICS',
          'REQUEST_COUNT',
          'REQUEST_DURATION',
          'REQUEST_SIZE',
          'RESPONSE_SIZE',
          'TCP_OPENED_CONNECTIONS',
          'TCP_CLOSED_CONNECTIONS',
          'TCP_SENT_BYTES',
          'TCP_RECEIVED_BYTES',
          'GRPC_REQUEST_MESSAGES',
          'GRPC_RESPONSE_MESSAGES',
        ],
        'A standard metric.',
      ),
      customMetric: text('Name of another metric.', nonEmpty),
      mode,
    },
    { oneofs: [['metric', 'customMetric']] },
  ),
  disabled: flag('Switches the metrics off or on.', nullable),
  tagOverrides: mapOf(tagOverride, 'Changes of tags, by name.'),
});
export type MetricsOverride = ValueOf<typeof metricsOverride>;

const metrics = message('How metrics are reported.', {
  providers,
  overrides: listOf(metricsOverride, 'Changes, in order.'),
  reportingInterval: duration('Time between reports of TCP metrics; 5s by default.'),
});
export type Metrics = ValueOf<typeof metrics>;

const accessLogging = message('How requests are logged.', {
  match: message('Which side is meant.', { mode }),
  providers,
  disabled: flag('Switches logging off or on.', nullable),
  filter: message('Which requests are logged.', { expression: text('CEL expression that must be true.') }),
});
export type AccessLogging = ValueOf<typeof accessLogging>;

export const telemetry = defineKind({
  kind: 'Telemetry',
  group: 'telemetry.istio.io',
  plural: 'telemetries',
  singular: 'telemetry',
  shortNames: ['telemetry'],
  categories: ['istio-io', 'telemetry-istio-io'],
  versions: ['v1alpha1', 'v1'],
  scope: 'Namespaced',
  builtin: false,
  printerColumns: [ageColumn],
  description: 'What proxies measure, trace and log.',
  body: message('A Telemetry.', {
    spec: message(
      'Settings for a mesh, a namespace, selected workloads or target objects.',
      {
        selector: workloadSelector,
        targetRef,
        targetRefs: listOf(targetRef, 'Objects that the policy is attached to.', { crd: { maxItems: 16 } }),
        tracing: listOf(tracing, 'Tracing.'),
        metrics: listOf(metrics, 'Metrics.'),
        accessLogging: listOf(accessLogging, 'Access logs.'),
      },
      {
        crd: {
          rules: [
            atMostOneOf(['selector', 'targetRef', 'targetRefs'], 'only one of targetRefs or selector can be set'),
          ],
        },
      },
    ),
    status: meshStatus,
  }),
});
export type Telemetry = ObjectOfDef<typeof telemetry>;
