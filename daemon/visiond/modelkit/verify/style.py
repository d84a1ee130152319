"""The HTML report's style: the reader's own choice of light or dark, no font and no file from elsewhere."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6675; --paper: #fbfbfa; --card: #ffffff; --line: #dde1e6;
  --bar: #5b87c5; --mark: #c2611f; --good: #1d7a46; --bad: #b3261e; --heat-worse: 179 38 30; --heat-better: 29 122 70; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #9aa5b4; --paper: #14181e; --card: #1c222b;
  --line: #333c48; --bar: #6f9bd8; --mark: #e8924f; --good: #5fc48c; --bad: #f2857d; --heat-worse: 242 90 80;
  --heat-better: 70 180 120; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 8px; }
h3 { font-size: 15px; margin: 24px 0 8px; }
.lead, .note { color: var(--dim); margin: 0 0 12px; }
.note { font-size: 13px; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--dim);
  border-radius: 6px; padding: 12px 18px; margin: 16px 0; }
.verdict h2 { margin: 0 0 4px; }
.verdict p, .verdict ul { margin: 4px 0; }
.verdict.bad { border-left-color: var(--bad); } .verdict.bad h2 { color: var(--bad); }
.verdict.good { border-left-color: var(--good); } .verdict.good h2 { color: var(--good); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 4px 0; font-size: 13px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); font-size: 13px; margin: 8px 0; }
th, td { text-align: left; padding: 5px 10px; border: 1px solid var(--line); vertical-align: top; }
th { color: var(--dim); font-weight: 600; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.heat td { text-align: right; font-variant-numeric: tabular-nums; }
.heat td.worse { background: rgb(var(--heat-worse) / calc(var(--strength) * 0.55)); }
.heat td.better { background: rgb(var(--heat-better) / calc(var(--strength) * 0.55)); }
.heat td.own { outline: 2px solid var(--mark); outline-offset: -2px; font-weight: 700; }
figure { margin: 8px 0; overflow-x: auto; }
figcaption { color: var(--dim); font-size: 12px; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 14px; }
.pictures.small { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
.pictures img { width: 100%; border-radius: 4px; border: 1px solid var(--line); display: block; }
.histograms { display: flex; flex-wrap: wrap; gap: 20px; }
.histograms figcaption { max-width: 370px; }
svg { max-width: 100%; height: auto; display: block; }
svg text { fill: var(--ink); font: 12px system-ui, sans-serif; }
svg .value { fill: var(--dim); font-size: 11px; }
svg .bar, svg .point { fill: var(--bar); }
svg .marked { fill: var(--mark); }
svg .grid { stroke: var(--line); }
svg .interval { stroke: var(--dim); stroke-width: 2; }
"""
