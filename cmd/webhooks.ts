// Opens the webhooks of a control plane: their port, what they answer from, and what they count.
import { Counter, Histogram, type Registry } from 'prom-client';
import { formatDiagnostic } from '../config/diagnostic.ts';
import type { MeshConfig } from '../config/mesh.ts';
import { relate } from '../config/relations/relations.ts';
import { surroundingsOf } from '../config/relations/view.ts';
import type { SourceSink } from '../config/sources/source.ts';
import type { Store } from '../config/store.ts';
import { validate, validateAdmitted } from '../config/validate.ts';
import type { TlsSource } from '../discovery/xds/server.ts';
import type { WebhookMetrics } from '../webhook/metrics.ts';
import { type ServerCertificate, startWebhookServer } from '../webhook/server.ts';
import { settingsOfStore } from '../webhook/store-settings.ts';
import type { Readiness } from './http.ts';
import type { Logger } from './log.ts';

export interface WebhooksOptions {
  /** `host:port` to listen on. */
  readonly address: string;
  readonly store: Store;
  /** Told what is wrong with the injector's settings. */
  readonly findings: Pick<SourceSink, 'report'>;
  readonly tls: TlsSource;
  readonly registry: Registry;
  readonly log: Logger;
  readonly systemNamespace: string;
  readonly clusterId: string;
  readonly clusterDomain: string;
  /** The mesh configuration in force. */
  readonly mesh: () => MeshConfig;
  readonly revision: string;
  /** ENABLE_NATIVE_SIDECARS, COMPLIANCE_POLICY and PLATFORM are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

const isReady: Readiness = { ready: true, reason: '' };

/** Open webhooks. */
export interface Webhooks extends AsyncDisposable {
  readonly port: number;
  /** Whether pods can be injected: there is a configuration of the injector that could be read. */
  readonly readiness: () => Readiness;
}

/** Opens them; resolves once the port accepts connections. Rejects where it is taken or there is no certificate. */
export async function openWebhooks(options: WebhooksOptions): Promise<Webhooks> {
  const { store, tls, log, env } = options;
  const native = env['ENABLE_NATIVE_SIDECARS'];
  const settings = settingsOfStore({
    store,
    systemNamespace: options.systemNamespace,
    clusterId: options.clusterId,
    process: {
      revision: options.revision,
      nativeSidecars: native === 'true' ? 'enabled' : native === 'false' ? 'disabled' : 'auto',
      compliancePolicy: env['COMPLIANCE_POLICY'] ?? '',
      openShift: env['PLATFORM'] === 'openshift',
    },
    report: (findings) => options.findings.report('settings', findings),
  });
  const unreadable = () => settings.diagnostics().map(formatDiagnostic).join('; ');
  const at = options.address.lastIndexOf(':');
  const server = await startWebhookServer({
    host: options.address.slice(0, at).replace(/^\[|\]$/g, '') || '::',
    port: Number(options.address.slice(at + 1)),
    certificate: certificateOf(tls),
    settings: settings.settings,
    unreadable,
    cluster: settings.cluster,
    validators: {
      object: async (raw) => (await validateAdmitted(raw)).diagnostics,
      amongOthers: (raw) => {
        const { object } = validate(raw, { unknown: 'ignore' });
        return object === undefined ? [] : relate(object, surroundingsOf(store, options.mesh(), options.clusterDomain));
      },
    },
    metrics: webhookMetrics(options.registry),
    now: () => performance.now() / 1_000,
    log: (event) => log.warn({ ...event }, 'webhook refused an object'),
  });
  const unfollow = tls.onChange(() => server.rotate(certificateOf(tls)));
  return {
    port: server.port,
    readiness: () =>
      settings.settings() === undefined
        ? { ready: false, reason: `the injector has no settings: ${unreadable()}` }
        : isReady,
    async [Symbol.asyncDispose]() {
      unfollow();
      settings[Symbol.dispose]();
      await server.close();
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
