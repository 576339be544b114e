// The webhooks of a control plane: what they answer from, what they count, and their port.
import { Counter, Histogram, type Registry } from 'prom-client';
import { formatDiagnostic } from '../config/diagnostic.ts';
import { relate } from '../config/relations/relations.ts';
import type { Surroundings } from '../config/relations/view.ts';
import type { SourceSink } from '../config/sources/source.ts';
import type { Store } from '../config/store.ts';
import { validate, validateAdmitted } from '../config/validate.ts';
import type { TlsSource } from '../discovery/xds/server-credentials.ts';
import type { WebhookMetrics } from '../webhook/metrics.ts';
import { type ServerCertificate, startWebhookServer, type WebhookHandlers } from '../webhook/server.ts';
import { settingsOfStore } from '../webhook/store-settings.ts';
import type { Validators } from '../webhook/validate.ts';
import type { Readiness } from './http.ts';
import type { Logger } from './log.ts';
import { placeOf } from './setting-values.ts';
import type { Settings } from './settings.ts';

export interface WebhooksOptions {
  readonly store: Store;
  /** Told what is wrong with the injector's settings. */
  readonly findings: Pick<SourceSink, 'report'>;
  readonly registry: Registry;
  readonly log: Logger;
  /** Names and switches; `httpsAddr` is where they listen, and empty where they are on somebody else's port. */
  readonly settings: Settings;
  /** Absent: nobody makes a certificate, and their own port stays closed. */
  readonly tls?: TlsSource;
  /** What objects are judged among, as it is now. */
  readonly surroundings: () => Surroundings;
}

const isReady: Readiness = { ready: true, reason: '' };

/** The webhooks of a control plane. */
export interface Webhooks extends AsyncDisposable {
  /** What they answer: 503 until the store holds everything, so that no pod is answered by defaults. */
  readonly handlers: WebhookHandlers;
  /** Whether pods can be injected: there is a configuration of the injector that could be read. */
  readonly readiness: () => Readiness;
  /**
   * Opens their own port once the store holds everything; gives it, or undefined where there is none. Rejects where it
   * is taken.
   */
  readonly open: () => Promise<number | undefined>;
}

/** Makes them. Nothing listens before `open`. */
export function webhooksOf(options: WebhooksOptions): Webhooks {
  const { store, log, tls, settings } = options;
  const injector = settingsOfStore({
    store,
    systemNamespace: settings.systemNamespace,
    clusterId: settings.clusterId,
    ...(settings.sharedMeshConfig === undefined ? {} : { sharedMeshConfig: settings.sharedMeshConfig }),
    process: {
      revision: settings.revision,
      nativeSidecars: nativeModes[settings.nativeSidecars],
      compliancePolicy: settings.compliancePolicy,
      openShift: settings.platform === 'openshift',
    },
    report: (findings) => options.findings.report('settings', findings),
  });
  const unreadable = (): string => injector.diagnostics().map(formatDiagnostic).join('; ');
  const handlers: WebhookHandlers = {
    settings: () => (store.synced ? injector.settings() : undefined),
    unreadable,
    cluster: injector.cluster,
    validators: validatorsOf(options),
    metrics: webhookMetrics(options.registry),
    now: () => performance.now() / 1_000,
    log: (event) => log.warn({ ...event }, 'webhook refused an object'),
  };
  const opened = new AsyncDisposableStack();
  return {
    handlers,
    readiness: () =>
      injector.settings() === undefined
        ? { ready: false, reason: `the injector has no settings: ${unreadable()}` }
        : isReady,
    open: async () => {
      if (settings.httpsAddr === '') return undefined;
      if (tls === undefined) {
        log.warn('--httpsAddr stays closed: nobody makes a certificate for it (PILOT_CERT_PROVIDER, ENABLE_CA_SERVER)');
        return undefined;
      }
      const server = opened.use(
        await startWebhookServer({ ...placeOf(settings.httpsAddr), ...handlers, certificate: certificateOf(tls) }),
      );
      opened.defer(tls.onChange(() => server.rotate(certificateOf(tls))));
      return server.port;
    },
    async [Symbol.asyncDispose]() {
      injector[Symbol.dispose]();
      await opened.disposeAsync();
    },
  };
}

const nativeModes = { auto: 'auto', true: 'enabled', false: 'disabled' } as const;

function validatorsOf({ surroundings }: Pick<WebhooksOptions, 'surroundings'>): Validators {
  return {
    object: async (raw) => (await validateAdmitted(raw)).diagnostics,
    amongOthers: (raw) => {
      const { object } = validate(raw, { unknown: 'ignore' });
      return object === undefined ? [] : relate(object, surroundings());
    },
  };
}

function certificateOf(tls: TlsSource): ServerCertificate {
  const { cert, key } = tls.current();
  if (cert === undefined || key === undefined) throw new Error('the webhooks have no certificate yet');
  return { cert, key };
}

/** istiod's counters of injection and validation, in a registry. */
export function webhookMetrics(registry: Registry): WebhookMetrics {
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
  const requests = counter('sidecar_injection_requests_total', 'Calls of the injection webhook.');
  const outcomes = {
    success: counter('sidecar_injection_success_total', 'Pods that were injected.'),
    failure: counter('sidecar_injection_failure_total', 'Pods that were refused.'),
    skip: counter('sidecar_injection_skip_total', 'Pods that were left alone by decision.'),
  };
  const time = new Histogram({
    name: 'sidecar_injection_time_seconds',
    help: 'Time to inject one pod.',
    buckets: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
    registers: [registry],
  });
  const resource = ['group', 'version', 'resource'] as const;
  const passed = counter('galley_validation_passed', 'Objects that passed validation.', resource);
  const failed = counter('galley_validation_failed', 'Objects that were refused.', [...resource, 'reason'] as const);
  const errors = counter('galley_validation_http_error', 'Calls that could not be read.', ['status'] as const);
  return {
    injected: (outcome, seconds) => {
      requests.inc();
      outcomes[outcome].inc();
      time.observe(seconds);
    },
    validated: (of, outcome, reason) => {
      if (outcome === 'passed') passed.inc({ ...of });
      else failed.inc({ ...of, reason: reason ?? '' });
    },
    httpError: (webhook, status) => {
      if (webhook === 'validate') errors.inc({ status: String(status) });
      else {
        requests.inc();
        outcomes.failure.inc();
      }
    },
  };
}
