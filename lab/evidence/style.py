"""The look of the lab's pages: one calm style sheet, light and dark, wide and narrow, without web fonts or scripts."""

STYLE = """
:root {
  --paper: #fbfaf7; --card: #fff; --ink: #23262b; --quiet: #6b7079; --rule: #e6e3dc; --tint: #f4f2ec;
  --s0: #2f6f8f; --s1: #b4662a; --s2: #5b7f3a; --s3: #8a5a94; --s4: #a58a1f; --s5: #b0505c;
  --good: #2c7a56; --bad: #b24a3c; --warn: #8a6410; --warn-paper: #fdf5df; --warn-rule: #ecd9a3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181c; --card: #1d2025; --ink: #e3e3df; --quiet: #949aa5; --rule: #2e323a; --tint: #24282f;
    --s0: #73b3d1; --s1: #e0a06b; --s2: #a3c57d; --s3: #c9a0d3; --s4: #d9c25c; --s5: #e39aa3;
    --good: #74c49b; --bad: #e58f80; --warn: #e6c672; --warn-paper: #2b2618; --warn-rule: #4a4023;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 1180px; margin: 0 auto; padding: 56px 28px 40px; }
section, details { margin-top: 48px; }
details + details { margin-top: 12px; }
h1 { font-size: 30px; font-weight: 650; letter-spacing: -0.02em; line-height: 1.2; margin: 0; }
h2 { font-size: 17px; font-weight: 620; letter-spacing: -0.005em; margin: 0 0 14px; }
h2 small { font-weight: 400; font-size: 13px; margin-left: 4px; }
p { margin: 6px 0; }
.quiet, small { color: var(--quiet); }
pre, code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.verdict { margin: 26px 0 0; display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 10px; }
.verdict b { font-size: 40px; font-weight: 640; letter-spacing: -0.03em; line-height: 1.1; }
.verdict span { font-size: 28px; }
.verdict .now { color: var(--s0); }
.verdict small { font-size: 14px; margin-left: 6px; }
aside { margin-top: 28px; padding: 12px 18px; background: var(--warn-paper); border: 1px solid var(--warn-rule);
  border-radius: 8px; }
aside b { color: var(--warn); }
aside.alarm { border-color: var(--bad); }
aside.alarm b { color: var(--bad); }
aside ul { margin: 2px 0 0; padding-left: 18px; }

.scroll + p { margin: 10px 2px; font-size: 13px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; white-space: nowrap; }
th, td { padding: 11px 9px; text-align: right; }
th:first-child { padding-left: 16px; }
th:last-child, td:last-child { padding-right: 16px; }
thead th { font-size: 12px; font-weight: 500; color: var(--quiet); padding-bottom: 6px; }
tbody tr { border-top: 1px solid var(--rule); }
tbody th { text-align: left; font-weight: 620; }
tbody th small { display: block; font-weight: 400; }
tbody .part { padding-left: 30px; }
tr:has(.part) { border-top: 0; }
tr:has(.part) td, tr:has(.part) th { padding-top: 3px; padding-bottom: 9px; color: var(--quiet); }
.main { font-weight: 620; }
.sure { color: var(--good); font-weight: 560; }
.interval { width: 120px; height: 12px; display: block; }
.track { fill: var(--rule); } .span { fill: var(--s0); opacity: 0.35; } .mark { fill: var(--s0); }

.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); gap: 14px; }
figure { margin: 0; padding: 14px 14px 8px; background: var(--card); border: 1px solid var(--rule);
  border-radius: 10px; }
figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 8px; font-size: 14px; margin-bottom: 4px; }
figcaption b { font-weight: 600; }
figcaption small { font-size: 12px; flex: 1; }
.last { font-weight: 620; color: var(--s0); }
.keys { flex-basis: 100%; font-size: 12px; color: var(--quiet); display: flex; flex-wrap: wrap; gap: 0 14px; }
.keys i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin: 0 6px 3px 0;
  background: currentColor; }
figure svg { width: 100%; height: auto; display: block; }
figure text { font: 11px system-ui, sans-serif; fill: var(--quiet); font-variant-numeric: tabular-nums; }
.y, .name { text-anchor: end; } .x { text-anchor: middle; }
.rule { stroke: var(--rule); } .axis { stroke: var(--quiet); opacity: 0.5; }
polyline { fill: none; stroke: currentColor; stroke-linejoin: round; stroke-linecap: round; }
.raw { stroke-width: 1; opacity: 0.28; } .line { stroke-width: 2; } .dot { fill: currentColor; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
.s3 { color: var(--s3); } .s4 { color: var(--s4); } .s5 { color: var(--s5); }

.samples > input { position: absolute; opacity: 0; }
.samples nav { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 14px; }
.samples label { padding: 4px 12px; border: 1px solid var(--rule); border-radius: 99px; font-size: 13px;
  cursor: pointer; background: var(--card); }
.samples label i { display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 7px;
  background: currentColor; }
.show-all:checked ~ nav [for=show-all], .show-gained:checked ~ nav [for=show-gained],
.show-lost:checked ~ nav [for=show-lost], .show-wrong:checked ~ nav [for=show-wrong],
.show-right:checked ~ nav [for=show-right] { border-color: var(--s0); box-shadow: inset 0 0 0 1px var(--s0); }
.samples > input:focus-visible ~ nav { outline: 2px solid var(--s0); outline-offset: 4px; border-radius: 99px; }
.show-gained:checked ~ .sample:not(.gained), .show-lost:checked ~ .sample:not(.lost),
.show-wrong:checked ~ .sample:not(.wrong), .show-right:checked ~ .sample:not(.right) { display: none; }
i.gained, b.gained, i.right, b.right, span.right { color: var(--good); }
i.lost, b.lost, span.lost, span.wrong { color: var(--bad); }
i.wrong, b.wrong { color: var(--quiet); }
i.right { opacity: 0.45; }
.sample { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; margin-bottom: 10px;
  overflow: hidden; }
.sample header { display: flex; flex-wrap: wrap; gap: 0 16px; padding: 10px 16px 6px; font-size: 13px; }
.sample header b { font-weight: 600; }
.prompt { padding: 0 16px 10px; color: var(--quiet); max-height: 150px; overflow-y: auto; }
.columns { display: grid; grid-template-columns: repeat(var(--stages), minmax(0, 1fr));
  border-top: 1px solid var(--rule); }
.columns > div { padding: 8px 16px 12px; }
.columns > div + div { border-left: 1px solid var(--rule); }
.columns p { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: 12px; margin: 0 0 4px; }
.columns b { font-weight: 600; }
.columns pre { max-height: 320px; overflow-y: auto; }
.score { color: var(--quiet); } .score code { font-size: 12px; color: var(--ink); }

details { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 0 18px; }
section > details { margin-top: 14px; background: none; }
summary { cursor: pointer; padding: 11px 0; font-weight: 560; }
details > pre, details > dl, details > .curves { padding-bottom: 18px; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 3px 20px; margin: 0; font-size: 13px; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 40px; font-size: 12px; color: var(--quiet); }
@media (max-width: 720px) {
  main { padding: 32px 16px; }
  th, td { padding: 9px 7px; }
  td:has(.interval), thead th:nth-child(4) { display: none; }
  tbody th small { white-space: normal; }
  .columns { grid-template-columns: 1fr; }
  .columns > div + div { border-left: 0; border-top: 1px solid var(--rule); }
  dl { grid-template-columns: 1fr; }
  dd { padding-left: 12px; }
}
@media print { .samples nav { display: none; } figure, .sample { break-inside: avoid; } }
"""
