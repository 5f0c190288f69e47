// Imports files into a store, to be killed meanwhile.
//
//   node importer.mjs <directory> <options of the import as JSON> <file>...
import { open } from 'sutra-storage'
import { tell } from '../support/tell.mjs'

const [directory, options, ...files] = process.argv.slice(2)
const { durability, ...importing } = JSON.parse(options)
const store = await open(directory, { durability })
tell({ opened: true })
const report = await store.import(files, importing)
tell({ report })
await store.close()
