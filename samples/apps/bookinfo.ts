// The bookshop: a product page that asks for details and reviews, and reviews that ask for ratings.
import { type AppContext, type AppRequest, type AppResponse, type Handler, json, passOn } from './app.ts';

/** Handlers by app name, the last part of the container's image. */
export const bookinfo: Readonly<Record<string, Handler>> = { productpage, details, reviews, ratings, partner };

const book = { id: 0, title: 'The Comedy of Errors', author: 'William Shakespeare', year: 1595, pages: 200 };
const opinions = [
  { reviewer: 'Reviewer1', text: 'An extremely entertaining play.' },
  { reviewer: 'Reviewer2', text: 'Absolutely fun and entertaining.' },
];

async function productpage(request: AppRequest, app: AppContext): Promise<AppResponse> {
  const headers = passOn(request.headers);
  const [detail, review, partnerAnswer] = await Promise.all([
    app.call('http://details:9080/details/0', headers),
    app.call('http://reviews:9080/reviews/0', headers),
    request.path.startsWith('/partner') ? app.call('http://api.partner.example/offers', headers) : undefined,
  ]);
  const page = {
    page: app.name,
    version: app.version,
    details: parsed(detail),
    reviews: parsed(review),
    ...(partnerAnswer === undefined ? {} : { partner: parsed(partnerAnswer) }),
  };
  if (request.path.startsWith('/api') || request.path.startsWith('/partner')) return json(200, page);
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: htmlOf(page) };
}

async function details(_request: AppRequest, app: AppContext): Promise<AppResponse> {
  return json(200, { ...book, version: app.version });
}

/** v1 has no stars, v2 black ones, v3 red ones. */
async function reviews(request: AppRequest, app: AppContext): Promise<AppResponse> {
  if (app.version === 'v1') return json(200, { version: app.version, reviews: opinions });
  const answer = await app.call('http://ratings:9080/ratings/0', passOn(request.headers));
  const color = app.version === 'v2' ? 'black' : 'red';
  const stars = answer.status === 200 ? (JSON.parse(answer.body) as { stars: number[] }).stars : undefined;
  const rated = opinions.map((opinion, i) => ({
    ...opinion,
    ...(stars === undefined ? {} : { stars: stars[i], color }),
  }));
  return json(200, { version: app.version, ratings: answer.status, reviews: rated });
}

/** `/flaky` succeeds on the third attempt only, by the count that Envoy sends; `/headers` shows the caller's identity. */
async function ratings(request: AppRequest, app: AppContext): Promise<AppResponse> {
  const attempt = Number(request.headers['x-envoy-attempt-count'] ?? '1');
  if (request.path.startsWith('/flaky') && attempt < 3) return json(503, { version: app.version, attempt });
  if (request.path.startsWith('/headers')) return json(200, { xfcc: request.headers['x-forwarded-client-cert'] ?? '' });
  if (request.path.startsWith('/slow')) await new Promise((resolve) => setTimeout(resolve, 2_000));
  return json(200, { version: app.version, attempt, stars: [5, 4] });
}

/** A server outside the mesh. It shows which headers reached it. */
async function partner(request: AppRequest, app: AppContext): Promise<AppResponse> {
  return json(200, { outside: true, version: app.version, host: request.headers['host'] ?? '' });
}

function parsed(answer: AppResponse): unknown {
  try {
    return { status: answer.status, ...(JSON.parse(answer.body) as object) };
  } catch {
    return { status: answer.status, body: answer.body.slice(0, 200) };
  }
}

function htmlOf(page: unknown): string {
  const text = JSON.stringify(page, undefined, 2).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<!doctype html><title>Bookshop</title><h1>The Comedy of Errors</h1><pre>${text}</pre>\n`;
}
