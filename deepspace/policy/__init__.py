"""Policy: how much may be asked (rate limits) and what may be asked (access rules).

Owns the tables rate_limits and policy_rules, and the counters in memory or Redis. Invariants: every limit
that applies must admit, and a refused call consumes nothing of any of them; what operators set binds
everybody, what an organisation sets can only narrow it; another deny rule never admits more; money is never
touched.
"""
