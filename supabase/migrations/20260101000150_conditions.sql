-- Conditions: what a filter says about a document, as data and never as code. A condition is one of
--   { "field": "data.price", "operator": "gte", "value": 10 }
--   { "and": [condition, …] }   { "or": [condition, …] }   { "not": condition }
-- _shared/contracts/conditions.ts says the same in zod.

-- What a document's value is compared with: text or a number of at most 1,000 characters, true, false or null.
create function private.is_comparable(value jsonb)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select coalesce(
    jsonb_typeof(value) in ('string', 'number') and length(value #>> '{}') <= 1000 or jsonb_typeof(value) in ('boolean', 'null'),
    false);
$$;

-- Small enough to be asked of every event: at most 500 JSON values and 10,000 characters of text in all.
create function private.is_small_condition(condition jsonb)
returns boolean
language sql
immutable
set search_path = ''
as $$
  select count(*) <= 500 and coalesce(sum(length(part #>> '{}')) filter (where jsonb_typeof(part) = 'string'), 0) <= 10000
  from jsonb_path_query(condition, 'strict $.**') as part;
$$;

-- Is this a condition? At most 8 levels deep, 20 wide and small in all, so that nothing a person writes can hold up
-- whoever emits an event.
create function private.is_condition(condition jsonb, depth int default 1)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
declare
  operator text := condition ->> 'operator';
  value jsonb := condition -> 'value';
  parts jsonb := coalesce(condition -> 'and', condition -> 'or');
begin
  if jsonb_typeof(condition) is distinct from 'object' or depth > 8
    or depth = 1 and not private.is_small_condition(condition) then
    return false;
  elsif condition ? 'field' then
    return coalesce(
      condition - array['field', 'operator', 'value'] = '{}'
      and jsonb_typeof(condition -> 'field') = 'string' and length(condition ->> 'field') between 1 and 200
      and case
        when operator in ('eq', 'ne', 'contains') then private.is_comparable(value)
        when operator in ('gt', 'gte', 'lt', 'lte') then private.is_comparable(value) and jsonb_typeof(value) in ('string', 'number')
        when operator = 'starts_with' then private.is_comparable(value) and jsonb_typeof(value) = 'string'
        when operator = 'exists' then jsonb_typeof(value) = 'boolean'
        when operator = 'in' then case when jsonb_typeof(value) = 'array' then jsonb_array_length(value) between 1 and 100
          and (select bool_and(private.is_comparable(one)) from jsonb_array_elements(value) as one) end
      end, false);
  elsif condition ? 'not' then
    return condition - 'not' = '{}' and private.is_condition(condition -> 'not', depth + 1);
  elsif jsonb_typeof(parts) is distinct from 'array' or not (condition - 'and' = '{}' or condition - 'or' = '{}') then
    return false;
  end if;
  return jsonb_array_length(parts) between 1 and 20
    and (select bool_and(private.is_condition(part, depth + 1)) from jsonb_array_elements(parts) as part);
end;
$$;

-- Equal as JSON; a number also equals its decimal text, since amounts are kept as text.
create function private.json_equals(actual jsonb, expected jsonb)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  if jsonb_typeof(expected) = 'number' and jsonb_typeof(actual) = 'string' and actual #>> '{}' ~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$' then
    return (actual #>> '{}')::numeric = expected::numeric;
  end if;
  return coalesce(actual, 'null') = expected;
end;
$$;

-- -1, 0 or 1; null where the two cannot be compared. Numbers by value, text by code point, which orders
-- RFC 3339 times of one offset.
create function private.json_compare(actual jsonb, expected jsonb)
returns int
language plpgsql
immutable
set search_path = ''
as $$
declare
  text_value text := actual #>> '{}';
begin
  if jsonb_typeof(expected) = 'number' then
    if jsonb_typeof(actual) = 'number' or jsonb_typeof(actual) = 'string' and text_value ~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$' then
      return sign(text_value::numeric - expected::numeric);
    end if;
  elsif jsonb_typeof(expected) = 'string' and jsonb_typeof(actual) = 'string' then
    return case
      when text_value collate "C" < expected #>> '{}' then -1
      when text_value collate "C" > expected #>> '{}' then 1
      else 0
    end;
  end if;
  return null;
end;
$$;

-- Does the document fit? `field` is a path with dots. What is not there is null; what cannot be compared
-- does not fit. A null condition fits everything.
create function private.condition_holds(condition jsonb, document jsonb)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
declare
  part jsonb;
  actual jsonb;
  expected jsonb := condition -> 'value';
begin
  if condition is null then
    return true;
  elsif condition ? 'and' then
    for part in select * from jsonb_array_elements(condition -> 'and') loop
      if not private.condition_holds(part, document) then
        return false;
      end if;
    end loop;
    return true;
  elsif condition ? 'or' then
    for part in select * from jsonb_array_elements(condition -> 'or') loop
      if private.condition_holds(part, document) then
        return true;
      end if;
    end loop;
    return false;
  elsif condition ? 'not' then
    return not private.condition_holds(condition -> 'not', document);
  end if;

  actual := document #> string_to_array(condition ->> 'field', '.');
  return coalesce(case condition ->> 'operator'
    when 'eq' then private.json_equals(actual, expected)
    when 'ne' then not private.json_equals(actual, expected)
    when 'gt' then private.json_compare(actual, expected) > 0
    when 'gte' then private.json_compare(actual, expected) >= 0
    when 'lt' then private.json_compare(actual, expected) < 0
    when 'lte' then private.json_compare(actual, expected) <= 0
    when 'in' then exists (
      select 1 from jsonb_array_elements(expected) as one where private.json_equals(actual, one))
    when 'contains' then case jsonb_typeof(actual)
      when 'array' then exists (
        select 1 from jsonb_array_elements(actual) as one where private.json_equals(one, expected))
      when 'string' then jsonb_typeof(expected) = 'string' and strpos(actual #>> '{}', expected #>> '{}') > 0
    end
    when 'starts_with' then jsonb_typeof(actual) = 'string' and actual #>> '{}' ^@ (expected #>> '{}')
    when 'exists' then (coalesce(actual, 'null') <> 'null') = expected::boolean
  end, false);
end;
$$;
