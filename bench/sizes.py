"""Sizes as they are shown."""
from measure import verdict


def show(title, found):
    print(f"\n{title}", flush=True)
    width = max(len(one["what"]) for one in found)
    for one in found:
        print(f"  {one['what']:<{width}}  {one['mib']:>8.1f} MiB  must {one['must']}  "
              f"{verdict(one['mib'], one['must'], one['aim'])}", flush=True)
