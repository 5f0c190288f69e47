/** The package has no types of its own: what it returns is that of Prometheus' prom2json. */
declare module 'parse-prometheus-text-format' {
  export interface ParsedSample {
    labels?: Record<string, string>
    /** Of a gauge or a counter. */
    value?: string
  }

  export interface ParsedMetric {
    name: string
    help: string
    type: 'GAUGE' | 'COUNTER' | 'SUMMARY' | 'HISTOGRAM' | 'UNTYPED'
    metrics: ParsedSample[]
  }

  /** Throws what it cannot read. */
  export default function parse(text: string): ParsedMetric[]
}
