// Says what is no valid HTML in the files named on the command line, one line
// each.
import { HtmlValidate } from 'html-validate';

const validator = new HtmlValidate({
  extends: ['html-validate:standard', 'html-validate:a11y'],
  rules: {
    'no-inline-style': 'error',
    'long-title': 'off', // a title names class and file
    'require-sri': 'off', // nothing is loaded
    'prefer-native-element': 'off', // a region that scrolls may be any element
    'no-redundant-role': 'off',
    'valid-id': ['error', { relaxed: true }],
  },
});
for (const file of process.argv.slice(2)) {
  const report = await validator.validateFile(file);
  for (const result of report.results) for (const m of result.messages) console.log(`${file}:${m.line}:${m.column}: ${m.ruleId}: ${m.message}`);
}
