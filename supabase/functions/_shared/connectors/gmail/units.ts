// What does a call cost of Gmail's quota? Units by method, read 2026-11-20; asking for the profile costs one.

export const UNITS = { history: 2, list: 5, get: 20, send: 100 }
