// In what does Treez wrap its answers? Also when it says no, sometimes with status 200.
import type { SimulatorAnswer } from '../parts/http-server.ts'

export function failure(reason: string, detail: string, status: number): SimulatorAnswer {
  return {
    status,
    body: {
      resultCode: 'FAIL',
      resultReason: reason,
      resultDetail: detail,
      data: null,
    },
  }
}

/** `products` are JSON texts: a page is joined, never parsed and printed again. */
export function productList(products: readonly string[], total: number): SimulatorAnswer {
  return {
    body:
      `{"resultCode":"SUCCESS","resultReason":null,"resultDetail":null,"data":{"page_count":${products.length},` +
      `"total_count":${total},"product_list":[${products.join(',')}]}}`,
  }
}
