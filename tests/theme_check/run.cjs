// Prints what theme-check says of a folder, as JSON: node run.cjs FOLDER CONFIG.yml
// It knows Shopify's documentation from its own package; fetching a newer one is refused, so nothing leaves the machine.
const https = require('node:https');
const path = require('node:path');

https.request = () => {
  throw new Error('no network here');
};

const { check } = require('@shopify/theme-check-node');

const [folder, config] = process.argv.slice(2).map((one) => path.resolve(one));
check(folder, config).then((offenses) => {
  const told = offenses.map(({ check: name, message, uri, start, severity }) => ({
    check: name,
    severity,
    message,
    file: path.relative(folder, new URL(uri).pathname),
    line: start.line + 1,
  }));
  process.stdout.write(`${JSON.stringify(told)}\n`);
});
