import { defineConfig } from 'vitest/config'

// Tests run against the built package: `sutra-storage` resolves to ./dist by the package's own
// exports, worker threads included. `#sutra/…` reaches a built internal module.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    typecheck: {
      enabled: true,
      include: ['test/types/*.test-d.ts'],
      tsconfig: 'test/types/tsconfig.json'
    },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // As Node does it: what CommonJS exports as its default is a member, and Node loads the package.
    deps: { interopDefault: false },
    server: { deps: { external: [/\/dist\//] } },
    pool: 'forks',
    maxWorkers: 2
  }
})
