/** Providers of OpenTelemetry, as its SDKs make them. What is left out is the global one. */
export interface OpenTelemetryOptions {
  tracerProvider?: { getTracer(name: string, version?: string): object }
  meterProvider?: { getMeter(name: string, version?: string): object }
}
