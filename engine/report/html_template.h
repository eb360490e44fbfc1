// The page and its repeated parts, as mustache templates. No scripts and nothing from elsewhere:
// one file that still opens in ten years.
#pragma once

namespace regraft {

inline constexpr const char* kPageTemplate = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}: {{verdict}}</title>
<style>
:root { color-scheme: light dark; --back: #ffffff; --text: #1c2024; --soft: #60666d; --line: #d9dde1;
  --panel: #f5f7f8; --good: #18794e; --bad: #c62a2f; --careful: #946800; }
@media (prefers-color-scheme: dark) {
  :root { --back: #15181b; --text: #e6e8ea; --soft: #9ba1a6; --line: #33383d; --panel: #1e2226;
    --good: #4cc38a; --bad: #ff8b8b; --careful: #f1c05c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 75rem; background: var(--back);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { margin: 2.2rem 0 .6rem; font-size: 1.15rem; }
h3 { margin: 1.2rem 0 .3rem; font-size: 1rem; }
code, td.name { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.badge { padding: .1rem .6rem; border-radius: 1rem; border: 1px solid; font-size: .95rem; vertical-align: middle; }
.ok, .loaded, .used { color: var(--good); }
.failed, .error { color: var(--bad); }
.kept, .initialised, .skipped, .omitted, .unexpected, .warning, .dropped { color: var(--careful); }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.tiles li { padding: .6rem .9rem; min-width: 8rem; background: var(--panel); border-radius: .5rem; }
.tiles b { display: block; font-size: 1.3rem; }
table { width: 100%; border-collapse: collapse; margin: .3rem 0 .8rem; }
th, td { padding: .25rem .6rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; font-size: .85rem; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
details { margin: .2rem 0; padding: .25rem .6rem; background: var(--panel); border-radius: .4rem; }
summary { cursor: pointer; overflow-wrap: anywhere; }
pre { margin: .2rem 0; padding: .5rem .8rem; background: var(--panel); border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{title}} <span class="badge {{verdict}}">{{verdict}}</span></h1>
<p class="soft">{{subtitle}}</p>
<ul class="tiles">
{{#tiles}}
<li><b class="{{class}}">{{number}}</b>{{label}}</li>
{{/tiles}}
</ul>
{{#has_diagnostics}}
<h2>Diagnostics</h2>
{{#diagnostics}}
<p><b class="{{severity}}">{{severity}} {{code}}</b> <span class="soft">{{place}}</span><br>{{message}}</p>
{{#hint}}
<pre>{{hint}}</pre>
{{/hint}}
{{#notes}}
<p class="soft">{{place}} {{message}}</p>
{{/notes}}
{{/diagnostics}}
{{/has_diagnostics}}
{{#has_suggestions}}
<h2>Suggestions</h2>
{{#suggestions}}
<pre>- rename: {{pattern}}
  to: {{to}}</pre>
{{/suggestions}}
{{/has_suggestions}}
<h2>Files</h2>
<div class="wide"><table>
<tr><th>role</th><th>file</th><th>format</th><th>bytes</th><th>tensors</th><th>digest</th></tr>
{{#files}}
<tr><td>{{role}}</td><td class="name">{{path}}</td><td>{{format}}</td><td class="number">{{bytes}}</td><td class="number">{{tensors}}</td><td class="name">{{digest}}</td></tr>
{{/files}}
</table></div>
<h2>Tensors</h2>
{{{tensors}}}
{{#has_unexpected}}
<h2>Results that the target does not have</h2>
{{{unexpected}}}
{{/has_unexpected}}
<h2>Source tensors</h2>
{{{sources}}}
{{#has_rules}}
<h2>Rules</h2>
<div class="wide"><table>
<tr><th>rule</th><th>verb</th><th>line</th><th>pattern</th><th>names</th></tr>
{{#rules}}
<tr><td>{{rule}}</td><td>{{verb}}</td><td>{{line}}</td><td class="name">{{pattern}}</td><td class="number {{class}}">{{matches}}</td></tr>
{{/rules}}
</table></div>
{{/has_rules}}
{{#has_extras}}
<h2>Beside the tensors</h2>
<div class="wide"><table>
<tr><th>path</th><th>what it is</th><th>policy</th></tr>
{{#extras}}
<tr><td class="name">{{path}}</td><td>{{summary}}</td><td class="{{policy}}">{{policy}}</td></tr>
{{/extras}}
</table></div>
{{/has_extras}}
{{#has_remarks}}
<h2>Remarks</h2>
<ul>
{{#remarks}}
<li>{{text}}</li>
{{/remarks}}
</ul>
{{/has_remarks}}
{{#has_vars}}
<h2>Vars</h2>
<div class="wide"><table>
{{#vars}}
<tr><td class="name">{{name}}</td><td class="name">{{value}}</td></tr>
{{/vars}}
</table></div>
{{/has_vars}}
<p class="soft">regraft {{version}}{{#fingerprint}}, spec <code>{{fingerprint}}</code>{{/fingerprint}}</p>
</body>
</html>
)html";

// Names of one status.
inline constexpr const char* kStatusTemplate =
    "<h3><span class=\"{{status}}\">{{status}}</span> <span class=\"soft\">{{count}}</span></h3>\n";

// One group of names with its table: `head` is kTensorHead, `rows` have its columns.
inline constexpr const char* kGroupTemplate =
    "<details><summary><code>{{pattern}}</code> <span class=\"soft\">{{count}} "
    "{{said}}</span></summary>"
    "<div class=\"wide\"><table>{{{head}}}\n{{{rows}}}</table></div></details>\n";

inline constexpr const char* kTensorHead =
    "<tr><th>name</th><th>dtype</th><th>shape</th><th>from</th><th>rules</th><th>digest</th></tr>";
}  // namespace regraft
