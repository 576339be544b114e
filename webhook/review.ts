// AdmissionReview, the envelope of calls from the API server (admission.k8s.io v1, and v1beta1 of old clusters).
import { isObject, type JsonObject, memberAt, nestsDeeper, objectOf } from './json.ts';
import type { PatchOperation } from './json-patch.ts';

/** Limits on a review: none may cost more than these. */
export const reviewLimits = {
  /** Bytes of a request; the API server itself takes objects of at most 3 MiB and sends old and new. */
  bytes: 6 * 1024 * 1024,
  /** Nesting of objects and lists. */
  depth: 200,
} as const;

/** One call. */
export interface AdmissionRequest {
  readonly apiVersion: 'admission.k8s.io/v1' | 'admission.k8s.io/v1beta1';
  readonly uid: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly resource: { readonly group: string; readonly version: string; readonly resource: string };
  readonly namespace: string;
  readonly name: string;
  readonly operation: string;
  readonly dryRun: boolean;
  /** Undefined for DELETE. */
  readonly object: JsonObject | undefined;
  readonly oldObject: JsonObject | undefined;
}

/** A body that is no review, with the HTTP status to answer. */
export interface ReviewProblem {
  readonly status: 400 | 413;
  readonly message: string;
}

/** The answer to one call. */
export interface AdmissionAnswer {
  readonly allowed: boolean;
  readonly patch?: readonly PatchOperation[];
  readonly warnings?: readonly string[];
  /** Why the object is refused. */
  readonly message?: string;
  /** HTTP-like code of a refusal; 400 unless given. */
  readonly code?: number;
}

/** Reads a body. Never throws. */
export function parseReview(
  text: string,
): { readonly request: AdmissionRequest } | { readonly problem: ReviewProblem } {
  const bad = (message: string) => ({ problem: { status: 400, message } as const });
  if (text.length === 0) return bad('no body found');
  if (text.length > reviewLimits.bytes) return { problem: { status: 413, message: 'the review is too large' } };
  if (nestsDeeper(text, reviewLimits.depth)) return bad(`the review nests deeper than ${reviewLimits.depth} levels`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return bad('the body is not JSON');
  }
  const apiVersion = memberAt(parsed, 'apiVersion');
  if (!isObject(parsed) || parsed['kind'] !== 'AdmissionReview') return bad('the body is no AdmissionReview');
  if (apiVersion !== 'admission.k8s.io/v1' && apiVersion !== 'admission.k8s.io/v1beta1') {
    return bad('the AdmissionReview is of an unknown version; admission.k8s.io/v1 and v1beta1 are known');
  }
  const request = parsed['request'];
  if (!isObject(request)) return bad('the AdmissionReview has no request');
  const uid = request['uid'];
  if (typeof uid !== 'string' || uid === '') return bad('the request of the AdmissionReview has no uid');
  return { request: readRequest(request, apiVersion, uid) };
}

function readRequest(request: JsonObject, apiVersion: AdmissionRequest['apiVersion'], uid: string): AdmissionRequest {
  const text = (...path: readonly string[]) => {
    const value = memberAt(request, ...path);
    return typeof value === 'string' ? value : '';
  };
  return {
    apiVersion,
    uid,
    kind: { group: text('kind', 'group'), version: text('kind', 'version'), kind: text('kind', 'kind') },
    resource: {
      group: text('resource', 'group'),
      version: text('resource', 'version'),
      resource: text('resource', 'resource'),
    },
    namespace: text('namespace'),
    name: text('name'),
    operation: text('operation'),
    dryRun: request['dryRun'] === true,
    object: isObject(request['object']) ? request['object'] : undefined,
    oldObject: isObject(request['oldObject']) ? request['oldObject'] : undefined,
  };
}

/** The review that answers a request, as JSON text. */
export function answerText(request: Pick<AdmissionRequest, 'apiVersion' | 'uid'>, answer: AdmissionAnswer): string {
  const { patch } = answer;
  const hasPatch = patch !== undefined && patch.length > 0;
  const response = {
    uid: request.uid,
    allowed: answer.allowed,
    ...(hasPatch ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') } : {}),
    ...(answer.warnings === undefined || answer.warnings.length === 0
      ? {}
      : { warnings: answer.warnings.map(warningText) }),
    ...(answer.message === undefined ? {} : { status: statusOf(answer.message, answer.code ?? 400) }),
  };
  return JSON.stringify({ kind: 'AdmissionReview', apiVersion: request.apiVersion, response });
}

function statusOf(message: string, code: number): JsonObject {
  const reason = code === 403 ? 'Forbidden' : code === 422 ? 'Invalid' : 'BadRequest';
  return { status: 'Failure', message: message.slice(0, 32 * 1024), reason, code };
}

// Clients print warnings as HTTP headers: one line each, and the API server cuts long ones.
function warningText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters must not reach a header
  return text.replace(/[\u0000-\u001f\u007f]+/g, ' ').slice(0, 1_000);
}

/** Whether the request is about a pod. */
export function isPodRequest(request: AdmissionRequest): boolean {
  const { group, kind } = request.kind;
  return group === '' && kind === 'Pod' && isObject(objectOf(request.object)['spec']);
}
