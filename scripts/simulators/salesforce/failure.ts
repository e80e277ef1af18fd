// How does Salesforce refuse a call? With a list of one.
import type { SimulatorAnswer } from '../parts/http-server.ts'

export const failure = (status: number, errorCode: string, message: string): SimulatorAnswer => ({
  status,
  body: [{ message, errorCode }],
})
