// lint_openapi.mjs CONFIG DOCUMENT: what Redocly's linter finds in an OpenAPI document; ends with 1 when that is anything.
import openapi from "@redocly/openapi-core";

const [configPath, ref] = process.argv.slice(2);
const problems = await openapi.lint({ref, config: await openapi.loadConfig({configPath})});
openapi.formatProblems(problems, {format: "codeframe", totals: openapi.getTotals(problems), version: ""});
process.exitCode = problems.length ? 1 : 0;
