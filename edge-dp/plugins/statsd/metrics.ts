import type { StatsdConfig } from '../../../shared/plugins/statsd.ts';
import { type Logged, loggedStatus } from '../log-entry.ts';
import { type Metric, metricLine, namePart, type Tag, tagValue } from '../metrics-line.ts';
import { consumerName, VALUES } from '../metrics-values.ts';
import type { ServiceView } from '../runtime/request.ts';

/** The line a metric makes of a request; null: none. */
type MetricOf = (exchange: Logged) => string | null;

type MetricConfig = NonNullable<StatsdConfig['metrics']>[number];

/** The metrics of a configuration. `node`: what this one is called in names and tags. */
export function compileMetrics(config: StatsdConfig, node: string): readonly MetricOf[] {
  const { tag_style: style, hostname_in_prefix } = config;
  const prefix = config.prefix ?? 'kong';
  const compiled = (config.metrics ?? []).map((metric) => new CompiledMetric(metric, config, node));
  if (style === null) {
    const full = hostname_in_prefix === true ? `${prefix}.node.${node}` : prefix;
    return compiled.map((metric) => (exchange) => metric.plain(full, exchange));
  }
  return compiled.map((metric) => (exchange) => {
    const value = metric.valueOf(exchange);
    if (value === null) return null;
    return metricLine({ ...value, name: `${prefix}.${value.name}` }, metric.tagsOf(exchange), style);
  });
}

class CompiledMetric {
  readonly #metric: MetricConfig;
  readonly #node: string;
  readonly #of: {
    readonly consumer: NonNullable<MetricConfig['consumer_identifier']>;
    readonly service: NonNullable<MetricConfig['service_identifier']>;
    readonly workspace: NonNullable<MetricConfig['workspace_identifier']>;
  };

  constructor(metric: MetricConfig, config: StatsdConfig, node: string) {
    this.#metric = metric;
    this.#node = node;
    this.#of = {
      consumer: metric.consumer_identifier ?? config.consumer_identifier_default,
      service: metric.service_identifier ?? config.service_identifier_default,
      workspace: metric.workspace_identifier ?? config.workspace_identifier_default,
    };
  }

  /** With everything in its name. */
  plain(prefix: string, exchange: Logged): string | null {
    const scope = `${prefix}.${this.#scopeOf(exchange.request.service)}`;
    const value = this.valueOf(exchange);
    if (value !== null) return metricLine({ ...value, name: `${scope}.${value.name}` }, null, 'dogstatsd');
    const counted = this.#countOf(prefix, scope, exchange);
    return counted === null ? null : metricLine(counted, null, 'dogstatsd');
  }

  /** Null: it is no value of the request, or there is none, as where nothing was sent upstream. */
  valueOf(exchange: Logged): Metric | null {
    const { name, stat_type, sample_rate } = this.#metric;
    const known = Object.hasOwn(VALUES, name) ? VALUES[name] : undefined;
    const value = known?.of(exchange) ?? -1;
    if (known === undefined || value === -1) return null;
    return { name: known.stat, value, type: stat_type, rate: sample_rate };
  }

  /** Null: there is no service, and then no tags either. */
  tagsOf(exchange: Logged): readonly Tag[] | null {
    const { service, route } = exchange.request;
    const called = this.#serviceName(service);
    if (called === null) return null;
    const tags: readonly (readonly [string, string | null])[] = [
      ['service', called],
      ['route', route?.name ?? route?.id ?? null],
      ['workspace', this.#workspaceName(exchange)],
      ['consumer', consumerName(exchange.request.identity.consumer, this.#of.consumer)],
      ['node', this.#node],
      ['status', String(loggedStatus(exchange))],
    ];
    return tags.flatMap(([name, value]) => (value === null ? [] : [[name, tagValue(value)] as const]));
  }

  /** What counts consumers and statuses, which tags do in the other styles. */
  #countOf(prefix: string, scope: string, exchange: Logged): Metric | null {
    const { name, sample_rate: rate } = this.#metric;
    const status = loggedStatus(exchange);
    const count = (named: string): Metric => ({ name: named, value: 1, type: 'counter', rate });
    if (name === 'status_count') return count(`${scope}.status.${status}`);
    if (name === 'status_count_per_workspace') {
      const workspace = this.#workspaceName(exchange);
      return workspace === null ? null : count(`${scope}.workspace.${namePart(workspace)}.status.${status}`);
    }
    const { route, identity } = exchange.request;
    const consumer = consumerName(identity.consumer, this.#of.consumer);
    if (consumer === null) return null;
    const user = namePart(consumer);
    switch (name) {
      case 'unique_users':
        return { name: `${scope}.user.uniques`, value: user, type: 'set', rate: null };
      case 'request_per_user':
        return count(`${scope}.user.${user}.request.count`);
      case 'status_count_per_user':
        return count(`${scope}.user.${user}.status.${status}`);
      case 'status_count_per_user_per_route':
        return route === null ? null : count(`${prefix}.route.${route.id}.user.${user}.status.${status}`);
      default:
        // `shdict_usage`: there are no shared dictionaries of nginx here.
        return null;
    }
  }

  #scopeOf(service: ServiceView | null): string {
    if (service === null) return 'global.unmatched';
    return `service.${namePart(this.#serviceName(service)?.replaceAll('.', '_') ?? 'unnamed')}`;
  }

  #serviceName(service: ServiceView | null): string | null {
    if (service === null) return null;
    const host = typeof service.row.host === 'string' ? service.row.host : null;
    switch (this.#of.service) {
      case 'service_id':
        return service.id;
      case 'service_name':
        return service.name;
      case 'service_host':
        return host;
      case 'service_name_or_host':
        return service.name ?? host;
    }
  }

  #workspaceName({ request, workspaceName }: Logged): string | null {
    return this.#of.workspace === 'workspace_id' ? request.workspace : workspaceName;
  }
}
