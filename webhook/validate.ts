// The verdict of the validating webhook about one object.
import { type Diagnostic, hasErrors } from '../config/diagnostic.ts';
import { type JsonObject, memberAt, objectOf } from './json.ts';
import type { WebhookMetrics } from './metrics.ts';
import type { AdmissionAnswer, AdmissionRequest } from './review.ts';

/** What finds the problems of an object, as the API server sent it. */
export type Validator = (raw: unknown) => readonly Diagnostic[] | Promise<readonly Diagnostic[]>;

/** The validators of the webhook. */
export interface Validators {
  /** Schema and rules of the object alone; its errors refuse the object. */
  readonly object: Validator;
  /** The object among the others that exist; its findings are warnings, whatever their severity. */
  readonly amongOthers?: Validator;
}

/** The annotation by which the registration controller asks whether the webhook refuses (istiod's name). */
export const alwaysRejectAnnotation = 'internal.istio.io/webhook-always-reject';

/** Decides on one object. DELETE, unknown kinds and subresources pass; nothing is changed, so dry runs are like any. */
export async function answerValidation(
  request: AdmissionRequest,
  validators: Validators,
  metrics: WebhookMetrics,
): Promise<AdmissionAnswer> {
  if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return { allowed: true };
  if (request.object === undefined) return { allowed: false, message: 'the request has no object' };
  if (memberAt(request.object, 'metadata', 'annotations', alwaysRejectAnnotation) !== undefined) {
    return { allowed: false, message: 'configuration is invalid: the object asks to be refused' };
  }
  const object = withName(request.object, request);
  const findings = await validators.object(object);
  if (isUnknown(findings)) {
    metrics.validated(request.resource, 'passed');
    return { allowed: true };
  }
  if (hasErrors(findings)) {
    const errors = findings.filter((finding) => finding.severity === 'error');
    metrics.validated(request.resource, 'failed', errors[0]?.code ?? 'invalid-value');
    return { allowed: false, message: refusalText(errors), warnings: warningsOf(findings) };
  }
  metrics.validated(request.resource, 'passed');
  const others = (await validators.amongOthers?.(object)) ?? [];
  const warnings = [...warningsOf(findings), ...others.map(findingText)];
  return { allowed: true, ...(warnings.length === 0 ? {} : { warnings }) };
}

// A name that is to be generated may not be there yet; that is no fault of the object.
function withName(object: JsonObject, request: AdmissionRequest): JsonObject {
  const metadata = objectOf(object['metadata']);
  if (metadata['name'] !== undefined && metadata['name'] !== '') return object;
  const prefix = metadata['generateName'];
  const name = request.name !== '' ? request.name : typeof prefix === 'string' ? `${prefix}x` : '';
  return name === '' ? object : { ...object, metadata: { ...metadata, name } };
}

// The rules of the webhook configuration decide what is sent; a kind of a newer API is not ours to refuse.
function isUnknown(findings: readonly Diagnostic[]): boolean {
  return findings.some(({ code }) => code === 'unknown-kind' || code === 'unknown-version');
}

function warningsOf(findings: readonly Diagnostic[]): readonly string[] {
  return findings.filter((finding) => finding.severity !== 'error').map(findingText);
}

function refusalText(errors: readonly Diagnostic[]): string {
  const texts = errors.map(findingText);
  if (texts.length === 1) return `configuration is invalid: ${texts[0]}`;
  return `configuration is invalid: ${texts.length} errors occurred:\n${texts.map((text) => `\t* ${text}`).join('\n')}`;
}

function findingText(finding: Diagnostic): string {
  const path = finding.path === undefined || finding.path === '' ? '' : `${finding.path}: `;
  const help = finding.help === undefined ? '' : ` (${finding.help})`;
  return `${path}${finding.message}${help}`;
}
