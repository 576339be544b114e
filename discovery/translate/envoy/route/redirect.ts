// Answers that a proxy gives by itself: redirects and fixed responses.
import { create } from '@bufbuild/protobuf';
import type { HttpDirectResponse, HttpRedirect } from '../../../../config/kinds/virtual-service.ts';
import {
  RedirectAction_RedirectResponseCode as Code,
  type DirectResponseAction,
  DirectResponseActionSchema,
  type RedirectAction,
  RedirectActionSchema,
} from '../../../../protos/gen/envoy/config/route/v3/route_components_pb.js';

const codes: ReadonlyMap<number, Code> = new Map([
  [301, Code.MOVED_PERMANENTLY],
  [302, Code.FOUND],
  [303, Code.SEE_OTHER],
  [307, Code.TEMPORARY_REDIRECT],
  [308, Code.PERMANENT_REDIRECT],
]);

/** Where a request came in, as far as a redirect may repeat it. */
export interface RequestPort {
  readonly port: number;
  readonly tls: boolean;
}

/** The redirect that a rule asks for; statuses that Envoy lacks become 301. */
export function redirectAction(redirect: HttpRedirect, { port, tls }: RequestPort): RedirectAction {
  const scheme = redirect.scheme ?? '';
  const { prefixRewrite } = redirect;
  return create(RedirectActionSchema, {
    hostRedirect: redirect.authority ?? '',
    portRedirect: portOf(redirect, port, scheme === '' ? (tls ? 'https' : 'http') : scheme),
    responseCode: codes.get(redirect.redirectCode ?? 301) ?? Code.MOVED_PERMANENTLY,
    pathRewriteSpecifier:
      prefixRewrite !== undefined && prefixRewrite !== ''
        ? { case: 'prefixRewrite', value: prefixRewrite }
        : { case: 'pathRedirect', value: redirect.uri ?? '' },
    ...(scheme === '' ? {} : { schemeRewriteSpecifier: { case: 'schemeRedirect', value: scheme } }),
  });
}

/** The fixed response that a rule asks for. */
export function directResponse(response: HttpDirectResponse): DirectResponseAction {
  const { string: text, bytes } = response.body ?? {};
  return create(DirectResponseActionSchema, {
    status: response.status ?? 0,
    ...(text !== undefined
      ? { body: { specifier: { case: 'inlineString', value: text } } }
      : bytes !== undefined
        ? { body: { specifier: { case: 'inlineBytes', value: Uint8Array.from(Buffer.from(bytes, 'base64')) } } }
        : {}),
  });
}

/** A scheme's own port is left out of the location. */
function portOf(redirect: HttpRedirect, requestPort: number, scheme: string): number {
  const port = redirect.derivePort === 'FROM_REQUEST_PORT' ? requestPort : (redirect.port ?? 0);
  const usual = (port === 80 && scheme === 'http') || (port === 443 && scheme === 'https');
  return usual ? 0 : port;
}
