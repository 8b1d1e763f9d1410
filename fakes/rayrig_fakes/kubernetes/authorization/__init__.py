"""What users may do: roles and bindings evaluated, reviews answered, tokens of service accounts, nobody giving more than they have.

What lives where:

- `rules`: whether a policy rule speaks of what is asked, and whether some rules cover others;
- `rbac`: the authorizer over the roles and bindings in the store; `bootstrap`: those that are there from the beginning;
- `escalation`: who may write roles and bindings; `impersonation`: who may act as somebody else;
- `reviews`: access reviews, rules reviews, who am I; `service_account_tokens`: issuing tokens and knowing them again.

Not here: the words users and attributes (`rayrig_fakes.kubernetes.identity`), token files, HTTP.
"""
