// Flags and environment variables of istiod that are not read on purpose, with the reason.

/** Several of them with one reason. */
export interface Ignored {
  readonly names: readonly string[];
  readonly why: string;
}

/** Flags: they are taken without a word, so that istiod's own deployment starts this control plane. */
export const ignoredFlags: readonly Ignored[] = [
  { names: ['--ctrlz_address', '--ctrlz_port'], why: 'There is no ControlZ port; the log level is set at the start.' },
  {
    names: [
      '--log_as_json',
      '--log_caller',
      '--log_rotate',
      '--log_rotate_max_age',
      '--log_rotate_max_backups',
      '--log_rotate_max_size',
      '--log_stacktrace_level',
      '--log_target',
      '--vklog',
    ],
    why: 'The log is JSON on standard error; where it goes is for the platform to say.',
  },
  {
    names: ['--kubernetesApiQPS', '--kubernetesApiBurst'],
    why: 'What is asked of the API server is bounded by its kinds, not by a rate.',
  },
  { names: ['--registries', '--plugins'], why: 'Sources follow from `--configDir`; there are no plug-ins.' },
  { names: ['--profile'], why: "Node's own flags profile this process." },
  {
    names: ['--injectionDirectory'],
    why: 'The injector reads its ConfigMap from the source, where a change counts at once.',
  },
  {
    names: ['--tls-cipher-suites'],
    why: 'TLS 1.2 and 1.3 with the suites of Node, which has no weak ones on.',
  },
];

/** Environment variables. */
export const ignoredVariables: readonly Ignored[] = [
  {
    names: ['PILOT_DEBOUNCE_AFTER', 'PILOT_DEBOUNCE_MAX', 'PILOT_ENABLE_EDS_DEBOUNCE'],
    why: 'A change is published at once, and those that come meanwhile together after it: there is nothing to wait for.',
  },
  {
    names: ['PILOT_PUSH_THROTTLE'],
    why: 'Streams owe names, not bytes: a slow one holds no other up, and none is pushed to beyond what it reads.',
  },
  {
    names: [
      'PILOT_XDS_CACHE_SIZE',
      'PILOT_XDS_CACHE_INDEX_CLEAR_INTERVAL',
      'PILOT_ENABLE_XDS_CACHE',
      'PILOT_ENABLE_CDS_CACHE',
      'PILOT_ENABLE_RDS_CACHE',
      'PILOT_CONVERT_SIDECAR_SCOPE_CONCURRENCY',
    ],
    why: 'Each resource is encoded once and shared; what is kept is what is served.',
  },
  { names: ['ISTIO_DELTA_XDS'], why: 'Both variants are always served; the client chooses.' },
  {
    names: ['CITADEL_ENABLE_JITTER_FOR_ROOT_CERT_ROTATOR'],
    why: 'Replicas that renew the root at one moment agree by the version of its Secret.',
  },
  {
    names: ['PILOT_ENABLE_ALPN_FILTER', 'PILOT_ENABLE_METADATA_EXCHANGE'],
    why: 'Filters follow from what a proxy can do.',
  },
  {
    names: ['EXTERNAL_ISTIOD', 'K8S_SIGNER', 'CERT_SIGNER_DOMAIN'],
    why: 'Remote clusters and signers of Kubernetes are not supported.',
  },
  {
    names: ['ENABLE_CLUSTER_TRUST_BUNDLE_API', 'TRUST_DISTRIBUTION'],
    why: 'Roots and revocation lists are handed out by ConfigMap.',
  },
  {
    names: [
      'PILOT_SEND_UNHEALTHY_ENDPOINTS',
      'PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS',
      'PILOT_FILTER_GATEWAY_CLUSTER_CONFIG',
      'PILOT_ENABLE_QUIC_LISTENERS',
      'PILOT_ENABLE_PERSISTENT_SESSION_FILTER',
      'PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES',
      'PILOT_SKIP_VALIDATE_TRUST_DOMAIN',
      'ENABLE_ENHANCED_DESTINATIONRULE_MERGE',
    ],
    why: "There is no such switch: what istiod does by its variable's default is done always.",
  },
];
