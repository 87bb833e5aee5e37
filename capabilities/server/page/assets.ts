import { gzipSync } from "node:zlib";
import type { BytesAnswer } from "../answers";
import type { Handler, Routes } from "../http-server";
import style from "./generated/page.css.txt";
import script from "./generated/page.js.txt";
import { acceptsGzip, ASSET_HEADERS, contentHash, DOCUMENT_HEADERS } from "./page-headers";

/** The page's sign: three layers, of which the top one answers. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#24577f"/><path d="M7 21l9 4.5 9-4.5M7 16l9 4.5 9-4.5" fill="none" stroke="#9cc4e4" stroke-width="2.2" stroke-linejoin="round" stroke-linecap="round"/><path d="M16 6.500l9 4.500-9 4.500-9-4.500z" fill="#fff"/></svg>`;

interface Asset {
  readonly content: string;
  readonly contentType: string;
}

const asset = (name: string, extension: string, content: string, contentType: string): [string, Asset] => [
  `page/${name}-${contentHash(content)}.${extension}`,
  { content, contentType },
];

/**
 * The page and its parts. Their addresses are relative, so that a proxy may have it below a path of its own that ends with a
 * slash.
 */
export function createAssetRoutes(): Routes {
  const icon = asset("icon", "svg", ICON, "image/svg+xml");
  const styleSheet = asset("page", "css", style, "text/css; charset=utf-8");
  const program = asset("page", "js", script, "text/javascript; charset=utf-8");
  const html = documentWith({ icon: icon[0], style: styleSheet[0], script: program[0] });
  const parts = [icon, styleSheet, program].map(
    ([path, part]) => [`/${path}`, { GET: assetHandler(part, ASSET_HEADERS) }] as const,
  );
  const page: Asset = { content: html, contentType: "text/html; charset=utf-8" };
  return { "/": { GET: assetHandler(page, DOCUMENT_HEADERS) }, ...Object.fromEntries(parts) };
}

/** Compressed once, for the first who asks. */
function assetHandler({ content, contentType }: Asset, headers: Readonly<Record<string, string>>): Handler {
  let compressed: Buffer | undefined;
  return ({ header }) => {
    const answer: BytesAnswer = acceptsGzip(header("accept-encoding"))
      ? {
          status: 200,
          bytes: (compressed ??= gzipSync(content, { level: 9 })),
          contentType,
          headers: { ...headers, "content-encoding": "gzip" },
        }
      : { status: 200, bytes: Buffer.from(content), contentType, headers };
    return Promise.resolve(answer);
  };
}

function documentWith(parts: Readonly<Record<"icon" | "style" | "script", string>>): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>mlflow-kserve</title>
<link rel="icon" href="${parts.icon}" type="image/svg+xml">
<link rel="stylesheet" href="${parts.style}">
<script type="module" src="${parts.script}"></script>
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript. Without it, /services and /health on this port say the same as JSON.</noscript>
</body>
</html>
`;
}
