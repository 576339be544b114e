// URLs in configuration, judged as Go's net/url does: laxer than the WHATWG parser on hosts, stricter on characters.

/** Longest URL that is read, in characters; proxies and servers take less. */
const longestUrl = 8192;

/** What is wrong with a URL; undefined where it can be used. Relative references are URLs too. */
export function urlProblem(url: string): string | undefined {
  if (url.length > longestUrl) return `the URL is longer than ${longestUrl} characters`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(url)) return 'the URL has a control character';
  if (/%(?![0-9a-fA-F]{2})/.test(url)) return 'the URL has an invalid escape';
  const fragmentless = url.split('#', 1)[0] ?? '';
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(fragmentless)?.[1];
  const rest = scheme === undefined ? fragmentless : fragmentless.slice(scheme.length + 1);
  if (scheme === undefined && /^:/.test(fragmentless)) return 'the URL lacks a scheme';
  if (scheme === undefined && /^[^/?]*:/.test(fragmentless)) return 'the first path segment of the URL has a colon';
  if (!rest.startsWith('//')) return undefined;
  const authority = rest.slice(2).split(/[/?]/, 1)[0] ?? '';
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  if (/[\s"<>\\^`{|}]/.test(host)) return 'the URL has an invalid character in its host name';
  const port = /:([^\]]*)$/.exec(host.replace(/^\[[^\]]*\]/, ''))?.[1];
  return port === undefined || /^[0-9]*$/.test(port) ? undefined : `the URL has an invalid port ":${port}"`;
}

/** The scheme of a URL in lower case; empty without one. */
export function schemeOf(url: string): string {
  return /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(url)?.[1]?.toLowerCase() ?? '';
}
