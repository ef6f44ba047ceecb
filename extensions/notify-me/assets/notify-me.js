// <stockwright-notify>: Liquid gives the first state, the service corrects it, the chosen variant decides.
// Indented by tabs: Shopify's linter counts bytes, up to 10,000.
(() => {
	if (customElements.get('stockwright-notify')) return;

	const LIMIT_MS = 15000;
	const COVERED = 'data-stockwright-hidden';
	const CART = 'form[action*="/cart/add"]';
	// How themes tell of a chosen variant; field and address are watched as well.
	const EVENTS = ['change', 'variant:change', 'variant:changed', 'variant:update', 'variantChange', 'theme:variant:change'];
	const asked = new Map(); // answers by address: all buttons of a product ask once

	const fetchJson = async (address, options) => {
		try {
			const headers = { Accept: 'application/json' };
			const signal = AbortSignal.timeout(LIMIT_MS);
			return await (await fetch(address, { headers, signal, ...options })).json();
		} catch {
			return null;
		}
	};

	const ask = (address) => asked.get(address) || asked.set(address, fetchJson(address)).get(address);

	// Not FormData: themes disable the field of a sold out variant.
	const chosenIn = (form) => {
		return form.querySelector('[name="id"]:is(:checked, :not([type="radio"]))')?.value || '';
	};

	const select = (node, css) => {
		try {
			return [...node.querySelectorAll(css)];
		} catch {
			console.warn(`stockwright-notify: not a selector: ${css}`);
			return [];
		}
	};

	// What `find` gives for the lowest ancestor that has any.
	const nearest = (from, find) => {
		for (let node = from.parentElement; node; node = node.parentElement) {
			const found = find(node);
			if (found.length) return found;
		}
		return [];
	};

	class StockwrightNotify extends HTMLElement {
		connectedCallback() {
			// An early script meets the element before its content.
			if (document.readyState !== 'loading') this.start();
			else document.addEventListener('DOMContentLoaded', () => this.start());
		}

		disconnectedCallback() {
			this.stop?.abort();
			this.watch?.disconnect();
			this.stop = null;
		}

		start() {
			if (this.stop || !this.isConnected || !(this.form || this.prepare())) return;
			if ('embedded' in this.dataset && !this.placed && this.place()) return; // moving starts it again
			this.stop = new AbortController();
			const { signal } = this.stop;
			const look = (event) => queueMicrotask(() => this.stop && this.choose(event));
			for (const name of EVENTS) document.addEventListener(name, look, { signal });
			window.addEventListener('popstate', look, { signal });
			window.navigation?.addEventListener('currententrychange', look, { signal });
			// Hidden fields tell no event; themes draw buttons and fields anew.
			this.watch = new MutationObserver(() => look() || (this.covered && this.preorder(true)));
			this.watch.observe(document.body, { subtree: true, childList: true, attributeFilter: ['value'] });
			this.variant = this.chosen();
			this.show();
			this.correct();
		}

		prepare() {
			const box = (this.box = this.querySelector('details'));
			const template = this.querySelector('template');
			if (!box || !template) return false;
			const first = JSON.parse(this.querySelector('[data-first]').textContent);
			this.ids = new Set(first.variants);
			this.first = first;
			this.own = first.own.split(',');
			this.texts = first.texts;
			this.variant = this.dataset.variant;
			this.done = new Map(); // what was said to a sign-up, by variant
			this.status = this.querySelector('[data-status]');
			box.append(template.content.cloneNode(true));
			const form = (this.form = box.querySelector('form'));
			this.error = form.querySelector('[data-error]');
			form.addEventListener('submit', (event) => this.send(event));
			form.addEventListener('change', (event) => event.stopPropagation()); // not for a theme's form around it
			box.addEventListener('toggle', () => box.open && form.elements.email.focus());
			box.addEventListener('keydown', (event) => {
				if (event.key !== 'Escape') return;
				box.open = false;
				box.querySelector('summary').focus();
			});
			return true;
		}

		// The embed moves to the product form, or goes if there is a block.
		place() {
			this.placed = true;
			const { product, after } = this.dataset;
			const block = `stockwright-notify[data-product="${product}"]:not([data-embedded])`;
			if (document.querySelector(block)) return !this.remove();
			const buys = (form) => this.ids.has(chosenIn(form)) && form.querySelector('[type="submit"], button:not([type])');
			const [target] = after ? select(document, after) : select(document, CART).filter(buys);
			target?.after(this);
			return target;
		}

		async correct() {
			const { product, locale, proxy } = this.dataset;
			const state = await ask(`${proxy}/notify-me/state?${new URLSearchParams({ product, locale })}`);
			if (!state?.variants) return; // Liquid's state stays
			this.states = state.variants;
			for (const id in this.states) this.ids.add(id);
			if (state.button) this.dataset.button = state.button;
			for (const name in state.texts) this.retext(name, state.texts[name]);
			this.variant = this.chosen();
			this.show();
		}

		retext(name, text) {
			if (!text || this.own.includes(name)) return;
			this.texts[name] = text;
			for (const node of select(this, `[data-text="${name}"]`)) node.textContent = text;
			if (name === 'consent') this.form.elements.wording.value = text;
		}

		choose(event) {
			const before = this.variant;
			this.variant = this.chosen(event);
			if (before !== this.variant) this.show(true);
			else this.cap();
		}

		chosen(event) {
			const detail = event?.detail || {};
			const told = detail.variant || detail.resource || detail;
			const id = String(told.id || detail.variantId || '');
			if (this.ids.has(id)) return id;
			const form = this.cart();
			if (form) return chosenIn(form);
			const named = new URL(location).searchParams.get('variant');
			return this.ids.has(named) ? named : this.variant;
		}

		// The nearest form of this product; kept also while it names no variant.
		cart() {
			const fits = (form) => this.ids.has(chosenIn(form));
			const { kept } = this;
			if (kept?.isConnected && (fits(kept) || !chosenIn(kept))) return kept;
			[this.kept] = nearest(this, (node) => select(node, CART).filter(fits));
			return this.kept;
		}

		show(announce) {
			const { box, form, variant } = this;
			const { open, most } = this.first;
			const first = { notify: open.includes(variant), most_units: most?.[variant] };
			const state = this.states ? this.states[variant] || {} : first;
			const isOpen = !!state.notify;
			const said = isOpen && this.done.get(variant);
			const changed = isOpen !== this.wasOpen;
			this.wasOpen = isOpen;
			if (!isOpen && box.contains(document.activeElement)) this.status.focus();
			box.hidden = !isOpen || !!said;
			form.elements.variant.value = variant;
			if (changed || announce || said) this.fail(''); // a late answer leaves it
			if (said) this.say(said);
			else if (announce) this.say(changed ? this.texts[isOpen ? 'shown' : 'hidden'] : '', true);
			this.preorder(state.preorder === false || (isOpen && this.dataset.button === 'instead'));
			this.most = state.most_units;
			this.cap();
		}

		// The most that one order may have ahead.
		cap() {
			const { capped, most } = this;
			if (capped && capped.field.max === capped.to) capped.field.max = capped.max;
			const field = most && this.cart()?.elements.quantity;
			this.capped = field && { field, max: field.max, to: `${most}` };
			if (!field || (field.max && field.max <= most)) return;
			field.max = most;
			if (field.form.noValidate && field.value > most) field.value = most;
		}

		// A quiet text is for screen readers only: the page shows what it says.
		say(text, quiet = false) {
			this.status.textContent = text;
			this.status.classList.toggle('stockwright-notify__said--quiet', quiet);
		}

		// The button in this product's form, or the nearest in no form.
		preorder(hide) {
			const form = this.cart();
			const ours = (button) => (button.closest(CART) || form) === form;
			for (const button of this.covered || []) button.removeAttribute(COVERED);
			this.covered = hide && nearest(this, (node) => select(node, this.dataset.preorder).filter(ours));
			for (const button of this.covered || []) button.setAttribute(COVERED, '');
		}

		fail(text, field, href, textContent) {
			this.error.textContent = text;
			if (href) this.error.append(Object.assign(document.createElement('a'), { href, textContent }));
			for (const one of this.form) one.removeAttribute('aria-invalid');
			if (!field?.labels) return;
			field.setAttribute('aria-invalid', 'true');
			field.focus();
		}

		async send(event) {
			event.preventDefault();
			event.stopPropagation();
			const { form, texts, variant } = this;
			if (this.sending) return;
			const { email } = form.elements;
			email.value = email.value.trim();
			const wrong = [...form].find((field) => !field.validity.valid);
			if (wrong) return this.fail(wrong === email ? texts.invalid_email : wrong.validationMessage, wrong);
			this.fail('');
			const answer = await this.post(new URLSearchParams(new FormData(form)));
			const { ok, message, field, link, link_text } = answer || {};
			if (!ok) return this.fail(message || texts.failed, field && form.elements[field], link, link_text);
			this.done.set(variant, message);
			this.show();
			if (variant === this.variant) this.status.focus();
		}

		async post(data) {
			const busy = (sending) => {
				this.sending = sending;
				this.form.querySelector('button').setAttribute('aria-disabled', sending);
				this.say(sending ? this.texts.sending : '', true);
			};
			data.delete('opened_at');
			data.set('elapsed_ms', Math.round(performance.now()));
			data.set('page', location.pathname + location.search);
			busy(true);
			const answer = await fetchJson(`${this.dataset.proxy}/notify-me`, { method: 'POST', body: data });
			busy(false);
			return answer;
		}
	}

	customElements.define('stockwright-notify', StockwrightNotify);
})();
