// The member countries: asked for once.
import { signal } from "@preact/signals";
import { ask } from "./api";
import type { Member } from "./types";

export const members = signal<Member[]>([]);
let asked = false;

export function needMembers(): void {
  if (asked) return;
  asked = true;
  ask<{ members: Member[] }>("Members")
    .then((told) => {
      members.value = told.members;
    })
    .catch(() => {
      asked = false;
      setTimeout(needMembers, 2000);
    });
}
