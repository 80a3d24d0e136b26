"""The page at /docs: it draws /openapi.json in the browser, with nothing from any other host.

The policy below lets the page load its own document and nothing else; text from the document is only ever set as
text, never as markup.
"""

from base64 import b64encode
from hashlib import sha256

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow: auto; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
.method { display: inline-block; min-width: 4rem; font-weight: 600; }
.dim { color: var(--dim); } table { border-collapse: collapse; }
td { border-top: 1px solid var(--line); padding: .25rem .8rem .25rem 0; vertical-align: top; }
"""

_SCRIPT = """
const make = (tag, text, ...kids) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...kids);
  return node;
};
const dim = text => { const node = make('span', text); node.className = 'dim'; return node; };
const block = value => make('pre', JSON.stringify(value, null, 2));
const resolve = (api, schema) => schema && schema.$ref
  ? api.components.schemas[schema.$ref.split('/').pop()] : schema;
const typeOf = schema => !schema ? '' : schema.$ref ? schema.$ref.split('/').pop()
  : schema.enum ? schema.enum.join(' | ') : schema.anyOf ? schema.anyOf.map(typeOf).join(' | ')
  : schema.type === 'array' ? typeOf(schema.items) + '[]' : [].concat(schema.type || 'any').join(' | ');
const table = rows => make('table', '', ...rows.map(row => make('tr', '', ...row.map(cell =>
  make('td', '', typeof cell === 'string' ? document.createTextNode(cell) : cell)))));
const members = (api, schema) => {
  const found = resolve(api, schema) || {};
  const needed = found.required || [];
  return table(Object.entries(found.properties || {}).map(([name, member]) =>
    [make('code', name), typeOf(member) + (needed.includes(name) ? '' : ' (optional)'),
     member.description || (member.anyOf || []).map(one => one.description || '').join('')]));
};
const json = content => ((content || {})['application/json']) || {};
const operation = (api, method, path, op) => {
  const verb = make('span', method.toUpperCase()); verb.className = 'method';
  const box = make('details', '', make('summary', '', verb, make('code', path), ' ', dim(op.summary || '')));
  if (op.parameters && op.parameters.length) box.append(make('h4', 'Parameters'), table(op.parameters.map(p =>
    [make('code', p.name), p.in, typeOf(p.schema), p.description || ''])));
  if (op.requestBody) {
    const body = json(op.requestBody.content);
    box.append(make('h4', 'Body'), members(api, body.schema));
    if (body.example) box.append(block(body.example));
  }
  for (const [status, answer] of Object.entries(op.responses || {})) {
    const body = json(answer.content);
    box.append(make('h4', status + ' ' + answer.description));
    if (status < '300') box.append(members(api, body.schema));
    if (body.example) box.append(block(body.example));
  }
  return box;
};
fetch('openapi.json').then(answer => answer.json()).then(api => {
  const main = document.querySelector('main');
  main.replaceChildren(make('h1', api.info.title + ' ' + api.info.version), make('p', api.info.description || ''));
  const tags = new Map();
  for (const [path, ops] of Object.entries(api.paths)) for (const [method, op] of Object.entries(ops)) {
    const tag = (op.tags || ['other'])[0];
    if (!tags.has(tag)) { tags.set(tag, make('section', '', make('h2', tag))); main.append(tags.get(tag)); }
    tags.get(tag).append(operation(api, method, path, op));
  }
}).catch(fault => { document.querySelector('main').textContent = 'openapi.json could not be read: ' + fault; });
"""


def _source(text: str) -> str:
    return "'sha256-" + b64encode(sha256(text.encode()).digest()).decode() + "'"


DOCS_HTML = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>qlaud API</title><style>{_STYLE}</style></head>
<body><main>Loading…<noscript> This page needs JavaScript; the document itself is at openapi.json.</noscript></main>
<script>{_SCRIPT}</script></body></html>
"""

DOCS_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
