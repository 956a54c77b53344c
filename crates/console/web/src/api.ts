// Calls of the console's own server. Nothing is kept here but who is logged in.
import { signal } from "@preact/signals";

/** Who is logged in: undefined while unknown, null when nobody is. */
export const user = signal<string | null | undefined>(undefined);

export interface Failure {
  error: string;
  /** The same may be answered later. */
  passes?: boolean;
  reason?: string;
  next_step?: string;
  why?: string;
  retry_after_s?: number;
}

/** A call that did not work. */
export class CallError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.error);
  }
}

async function answered<T>(response: Response): Promise<T> {
  const body = await response.json().catch(() => ({ error: "hub_failed" }));
  if (response.status === 401) user.value = null;
  if (!response.ok) throw new CallError(body as Failure);
  return body as T;
}

async function post<T>(path: string, body: unknown, abort?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      ...(abort ? { signal: abort } : {}),
    });
  } catch (error) {
    if (abort?.aborted) throw error;
    throw new CallError({ error: "console_lost" });
  }
  return answered<T>(response);
}

/** One look-up, named as in `proto/`. */
export function ask<T>(call: string, request: Record<string, unknown> = {}, abort?: AbortSignal): Promise<T> {
  return post<T>(call, request, abort);
}

export async function whoIsThere(): Promise<void> {
  try {
    const session = await answered<{ name: string | null }>(await fetch("/api/session"));
    user.value = session.name;
  } catch {
    user.value = null;
  }
}

export async function logIn(name: string, password: string): Promise<void> {
  const session = await post<{ name: string }>("login", { name, password });
  user.value = session.name;
}

export async function logOut(): Promise<void> {
  await post("logout", {}).catch(() => undefined);
  user.value = null;
}
