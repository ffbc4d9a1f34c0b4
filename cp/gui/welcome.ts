/** The page of a control plane whose UI cannot be shown: what this is, where the Admin API is, what is missing. */
export function welcomePage(adminApi: string, version: string, trouble: string): string {
  const api = escapeHtml(adminApi);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast control plane</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:10vh auto;padding:0 1rem}code,pre{background:#8882;padding:.1em .3em}pre{white-space:pre-wrap;overflow-wrap:anywhere}</style>
</head>
<body>
<h1>Holdfast control plane</h1>
<p>Version ${escapeHtml(version)}. This is the address of its web UI, the Manager, which could not be put together from its sources:</p>
<pre>${escapeHtml(trouble)}</pre>
<p>In a clone its packages are there after <code>npm install</code> (not with <code>--omit=dev</code>); the npm package of Holdfast
brings it ready. Reload this page to try again.</p>
<ul>
<li>Admin API: <a href="${api}">${api}</a></li>
<li>Its description (OpenAPI): <a href="${api}/openapi.json">${api}/openapi.json</a></li>
</ul>
<p>To have another UI here, set <code>admin_gui_dir</code> to a folder with a built one, for example the open-source Kong
Manager, and start again. To have nothing here, set <code>admin_gui_listen = off</code>.</p>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
