// The variant picker: price, button and address follow the chosen variant. The page works without it.
for (const part of document.querySelectorAll('[data-product-form]')) {
  const form = part.querySelector('form');
  form.addEventListener('change', (event) => {
    const chosen = event.target;
    if (chosen.name !== 'id') return;
    const { price, sale } = chosen.dataset;
    part.querySelector('[data-price]').textContent = price;
    for (const button of form.querySelectorAll('[data-buy]')) {
      button.hidden = button.disabled = button.dataset.buy !== sale;
    }
    form.querySelector('[data-row]').hidden = sale === 'out';
    form.querySelector('[data-out]').hidden = sale !== 'out';
    if (document.querySelectorAll('[data-product-form]').length > 1) return;
    const address = new URL(location);
    address.searchParams.set('variant', chosen.value);
    history.replaceState(null, '', address);
  });
}
