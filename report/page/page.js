// The page is complete without this: it adds what a pointer or the keyboard
// shows, closer looks at the graphs, sorting, filtering and copying.
(() => {
  'use strict';
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  all('.scripted, .copy').forEach((e) => { e.hidden = false; });

  // Language: the style sheet shows one; here the document says which.
  all('input.lang').forEach((input) => {
    const set = () => { if (input.checked) root.lang = input.value; };
    input.addEventListener('change', set);
    set();
  });

  // Copying.
  all('.copy').forEach((button) => {
    button.addEventListener('click', async () => {
      const code = button.parentElement.querySelector('code');
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand('copy');
      }
      button.classList.add('copied');
      setTimeout(() => button.classList.remove('copied'), 2000);
    });
  });

  // What is folded away is opened for whoever follows a link into it, or prints.
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let e = target; e; e = e.parentElement) if (e.localName === 'details') e.open = true;
    if (target) target.scrollIntoView({ block: 'center' });
  };
  addEventListener('hashchange', open);
  open();
  addEventListener('beforeprint', () => all('details').forEach((d) => { d.dataset.was = d.open ? '1' : ''; d.open = true; }));
  addEventListener('afterprint', () => all('details').forEach((d) => { d.open = d.dataset.was === '1'; }));

  // Tables.
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
  };
  all('table.sortable').forEach((table) => {
    const body = table.tBodies[0];
    all('thead th', table).forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        all('thead th', table).forEach((h) => h.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const rows = [...body.rows].map((row, i) => ({ row, i, v: value(row, column) }));
        rows.sort((a, b) => {
          const n = typeof a.v === 'number' && typeof b.v === 'number' ? a.v - b.v : String(a.v).localeCompare(String(b.v), 'en', { numeric: true });
          return (down ? -n : n) || a.i - b.i;
        });
        body.append(...rows.map((r) => r.row));
      });
    });
  });
  all('.find input').forEach((input) => {
    const rows = [...document.getElementById(input.dataset.for).tBodies[0].rows];
    const none = input.closest('.find').querySelector('.none');
    input.addEventListener('input', () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((w) => text.includes(w));
        if (!row.hidden) shown++;
      });
      none.hidden = shown > 0;
    });
  });

  // Graphs.
  const tip = document.getElementById('tip');
  const flagNames = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR', 'AE'];
  const bits = (n, names) => names.filter((_, i) => n & (1 << i)).join(', ');
  const make = (name, attributes) => {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    return e;
  };
  const LEFT = 78, RIGHT = 986, TOP = 10, BOTTOM = 376;

  all('script.packets').forEach((script) => {
    let packets = null; // read when a graph is first looked at
    const data = JSON.parse(script.textContent);
    const read = () => {
      if (packets) return packets;
      const c = data.packets, sums = { seq: [0, 0], ack: [0, 0] };
      let frame = 0, time = 0;
      packets = (c.f || []).map((_, i) => {
        const client = c.b[i] & 1, d = 1 - client;
        frame += c.f[i];
        time += c.t[i];
        sums.seq[d] += c.s[i];
        sums.ack[d] += c.a[i];
        return {
          frame, ms: time / 1000, client, copy: c.b[i] & 2, seq: sums.seq[d], ack: sums.ack[d], len: c.l[i], window: c.w[i],
          flags: c.g[i], ttl: c.ttl[i], id: c.id[i], found: c.n[i], tls: (c.tls || {})[i],
        };
      });
      return packets;
    };
    data.graphs.forEach((graph) => attach(graph, read, data.names));
  });

  function attach(graph, read, names) {
    const svg = document.getElementById(graph.id);
    const plots = all('.plot', svg), axis = all('.axis', svg)[0];
    const pieces = graph.scale.x, y = graph.scale.y;
    svg.classList.add('live');
    svg.setAttribute('tabindex', '0');
    let view = { x: LEFT, w: RIGHT - LEFT, y: TOP, h: BOTTOM - TOP };
    const whole = { ...view };
    let points = null, at = -1, drag = null, dragged = -1e9;

    const place = (ms) => {
      for (let i = 0; i < pieces.length; i++) {
        const [from, to, left, right] = pieces[i];
        if (ms <= to || i === pieces.length - 1) return to > from ? left + (right - left) * (ms - from) / (to - from) : (left + right) / 2;
        if (ms < pieces[i + 1][0]) return right + (pieces[i + 1][2] - right) * (ms - to) / (pieces[i + 1][0] - to);
      }
      return LEFT;
    };
    const height = (v) => y[2] + (y[3] - y[2]) * (v - y[0]) / (y[1] - y[0]);
    const load = () => {
      if (!points) {
        points = read().map((p) => {
          const own = p.client === graph.client;
          return { p, x: place(p.ms), y: height(own ? p.seq + p.len : p.ack) };
        });
      }
      return points;
    };
    // From the graph as drawn to the graph as seen, and back.
    const seen = (q) => ({ x: LEFT + (q.x - view.x) * (RIGHT - LEFT) / view.w, y: TOP + (q.y - view.y) * (BOTTOM - TOP) / view.h });
    const drawn = (q) => ({ x: view.x + (q.x - LEFT) * view.w / (RIGHT - LEFT), y: view.y + (q.y - TOP) * view.h / (BOTTOM - TOP) });
    const pointer = (e) => {
      const m = svg.getScreenCTM().inverse();
      return { x: e.clientX * m.a + e.clientY * m.c + m.e, y: e.clientX * m.b + e.clientY * m.d + m.f };
    };

    const overlay = make('g', {});
    const cross = make('path', { class: 'crosshair' }), spot = make('circle', { class: 'spot', r: 6 }), choice = make('rect', { class: 'choice', width: 0, height: 0 });
    overlay.append(cross, spot, choice);
    overlay.style.display = 'none';
    svg.append(overlay);
    const ticks = make('g', { class: 'axis zoomed' });
    axis.after(ticks);

    const nice = (span, n) => {
      const raw = span / n, unit = 10 ** Math.floor(Math.log10(raw));
      return unit * [1, 2, 5, 10].find((m) => unit * m >= raw);
    };
    const label = (v, apart, units) => {
      const [unit, name] = units.find(([u]) => apart >= u) || units[units.length - 1];
      const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(apart / unit) - 1e-9)));
      return (v / unit).toFixed(digits) + '\u202f' + name;
    };
    const text = (x, yy, s, anchor) => {
      const t = make('text', { x, y: yy, class: 'tick ' + anchor });
      t.textContent = s;
      ticks.append(t);
    };
    const drawTicks = () => {
      const zoomed = view.w < whole.w || view.h < whole.h;
      axis.style.display = zoomed ? 'none' : '';
      ticks.replaceChildren();
      if (!zoomed) return;
      const low = y[0] + (y[1] - y[0]) * (view.y + view.h - y[2]) / (y[3] - y[2]);
      const high = y[0] + (y[1] - y[0]) * (view.y - y[2]) / (y[3] - y[2]);
      let step = nice(high - low, 6);
      for (let v = Math.ceil(low / step) * step; v <= high; v += step) {
        const q = seen({ x: 0, y: height(v) }).y;
        ticks.append(make('path', { class: 'grid', d: `M${LEFT} ${q}H${RIGHT}` }));
        text(LEFT - 6, q + 3.5, label(v, step, [[1e6, 'MB'], [1e3, 'kB'], [1, 'B']]), 'e');
      }
      pieces.forEach(([from, to, left, right]) => {
        const a = Math.max(left, view.x), b = Math.min(right, view.x + view.w);
        if (b <= a || to <= from) return;
        const t0 = from + (to - from) * (a - left) / (right - left), t1 = from + (to - from) * (b - left) / (right - left);
        const room = (b - a) * (RIGHT - LEFT) / view.w;
        step = nice(t1 - t0, Math.max(1, Math.floor(room / 110)));
        for (let t = Math.ceil(t0 / step) * step; t <= t1; t += step) {
          const q = seen({ x: place(t), y: 0 }).x;
          ticks.append(make('path', { class: 'grid', d: `M${q} ${TOP}V${BOTTOM - 4}` }));
          text(q, BOTTOM + 12, label(t, step, [[1000, 's'], [0.1, 'ms'], [0.0001, 'µs']]), 'm');
        }
      });
      ticks.append(make('path', { class: 'base', d: `M${LEFT} ${TOP}V${BOTTOM - 4}H${RIGHT}` }));
    };
    const show = () => {
      const sx = (RIGHT - LEFT) / view.w, sy = (BOTTOM - TOP) / view.h;
      plots.forEach((plot) => {
        const rtt = plot.classList.contains('rtt');
        const tx = LEFT - view.x * sx, ty = rtt ? 0 : TOP - view.y * sy;
        plot.setAttribute('transform', `matrix(${sx} 0 0 ${rtt ? 1 : sy} ${tx} ${ty})`);
      });
      // Marks and texts keep their shape.
      all('.at', plots[0]).forEach((g) => {
        g.dataset.at ??= g.getAttribute('transform');
        g.setAttribute('transform', `${g.dataset.at} scale(${1 / sx} ${1 / sy})`);
      });
      all('.bandtext', plots[0]).forEach((t) => { t.style.display = sx > 1 || sy > 1 ? 'none' : ''; });
      svg.dataset.zoom = sx.toFixed(2);
      drawTicks();
      if (at >= 0) mark();
    };
    const zoom = (x, w, yy, h) => {
      view.w = Math.min(whole.w, Math.max(w, whole.w / 20000));
      view.h = Math.min(whole.h, Math.max(h, whole.h / 20000));
      view.x = Math.min(Math.max(x, whole.x), whole.x + whole.w - view.w);
      view.y = Math.min(Math.max(yy, whole.y), whole.y + whole.h - view.h);
      show();
    };
    const nearer = (f, q) => zoom(q.x - (q.x - view.x) * f, view.w * f, q.y - (q.y - view.y) * f, view.h * f);

    const describe = (p) => {
      const lines = [`#${p.frame}  ${p.client ? '→' : '←'}  ${p.ms.toFixed(3)} ms`, bits(p.flags, flagNames) + (p.tls ? '; ' + p.tls : '')];
      lines.push(`seq ${p.seq}  len ${p.len}` + (p.flags & 16 ? `  ack ${p.ack}` : ''));
      lines.push(`window ${p.window}  TTL ${p.ttl}` + (p.id >= 0 ? `  IP-ID 0x${p.id.toString(16).padStart(4, '0')}` : ''));
      if (p.found) lines.push(bits(p.found, names));
      return lines.filter(Boolean).join('\n');
    };
    const mark = () => {
      const q = seen(points[at]);
      overlay.style.display = '';
      cross.setAttribute('d', `M${q.x} ${TOP}V${BOTTOM}M${LEFT} ${q.y}H${RIGHT}`);
      spot.setAttribute('cx', q.x);
      spot.setAttribute('cy', q.y);
      const m = svg.getScreenCTM();
      tip.textContent = describe(points[at].p);
      tip.hidden = false;
      const px = q.x * m.a + m.e, py = q.y * m.d + m.f, w = tip.offsetWidth, h = tip.offsetHeight;
      tip.style.left = Math.max(4, Math.min(px + 14, innerWidth - w - 4)) + 'px';
      tip.style.top = Math.max(4, py + 14 + h > innerHeight ? py - h - 14 : py + 14) + 'px';
    };
    const hide = () => { at = -1; tip.hidden = true; overlay.style.display = 'none'; };
    const nearest = (q) => {
      const list = load();
      if (!list.length) return -1;
      const kx = (RIGHT - LEFT) / view.w, ky = (BOTTOM - TOP) / view.h;
      let best = -1, least = Infinity;
      let low = 0, high = list.length;
      while (low < high) { const m = (low + high) >> 1; if (list[m].x < q.x) low = m + 1; else high = m; }
      const look = (i) => {
        const dx = (list[i].x - q.x) * kx, dy = (list[i].y - q.y) * ky, d = dx * dx + dy * dy;
        if (d < least) { least = d; best = i; }
        return dx * dx < least;
      };
      for (let i = low; i < list.length && look(i); i++);
      for (let i = low - 1; i >= 0 && look(i); i--);
      return best;
    };
    svg.addEventListener('pointermove', (e) => {
      const p = pointer(e);
      if (drag) {
        const x = Math.min(drag.x, p.x), yy = Math.min(drag.y, p.y);
        choice.setAttribute('x', x); choice.setAttribute('y', yy);
        choice.setAttribute('width', Math.abs(p.x - drag.x)); choice.setAttribute('height', Math.abs(p.y - drag.y));
        overlay.style.display = '';
        return;
      }
      if (p.x < LEFT || p.x > RIGHT || p.y < 0 || p.y > 490) return hide();
      at = nearest(drawn(p));
      if (at >= 0) mark();
    });
    svg.addEventListener('pointerleave', () => { if (!drag) hide(); });
    svg.addEventListener('blur', hide);
    svg.addEventListener('pointerdown', (e) => {
      if (e.button || e.pointerType === 'touch') return;
      drag = pointer(e);
    });
    addEventListener('pointerup', (e) => {
      if (!drag) return;
      const from = drag, to = pointer(e);
      drag = null;
      choice.setAttribute('width', 0); choice.setAttribute('height', 0);
      if (Math.abs(to.x - from.x) < 6 && Math.abs(to.y - from.y) < 6) return;
      const a = drawn({ x: Math.min(from.x, to.x), y: Math.min(from.y, to.y) }), b = drawn({ x: Math.max(from.x, to.x), y: Math.max(from.y, to.y) });
      // A flat choice zooms in time, a narrow one in bytes.
      const wide = Math.abs(to.x - from.x) >= 6, tall = Math.abs(to.y - from.y) >= 20;
      zoom(wide ? a.x : view.x, wide ? b.x - a.x : view.w, tall ? a.y : view.y, tall ? b.y - a.y : view.h);
      dragged = performance.now();
    });
    svg.addEventListener('click', (e) => { if (performance.now() - dragged < 100) e.preventDefault(); }, true);
    svg.addEventListener('dblclick', () => zoom(whole.x, whole.w, whole.y, whole.h));
    svg.addEventListener('keydown', (e) => {
      if (e.target !== svg || e.ctrlKey || e.metaKey || e.altKey) return;
      const list = load();
      const middle = at >= 0 ? list[at] : { x: view.x + view.w / 2, y: view.y + view.h / 2 };
      switch (e.key) {
        case '+': case '=': nearer(0.5, middle); break;
        case '-': nearer(2, middle); break;
        case '0': case 'Escape': zoom(whole.x, whole.w, whole.y, whole.h); break;
        case 'Home': case 'End': case 'ArrowRight': case 'ArrowLeft': {
          if (e.shiftKey) { zoom(view.x + view.w * (e.key === 'ArrowRight' ? 0.2 : -0.2), view.w, view.y, view.h); break; }
          if (!list.length) return;
          const to = { Home: 0, End: list.length - 1, ArrowRight: at + 1, ArrowLeft: at - 1 }[e.key];
          at = Math.min(list.length - 1, Math.max(0, to));
          const q = list[at];
          if (q.x < view.x || q.x > view.x + view.w || q.y < view.y || q.y > view.y + view.h) zoom(q.x - view.w / 2, view.w, q.y - view.h / 2, view.h);
          mark();
          break;
        }
        case 'Enter': {
          const row = at >= 0 && document.getElementById('f' + list[at].p.frame);
          if (row) location.hash = '#' + row.id;
          break;
        }
        default: return;
      }
      e.preventDefault();
    });
  }
})();
