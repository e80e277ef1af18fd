-- Supabase Vault's interface for the local stack, with real ciphertext: AES-256-CBC, then HMAC-SHA256
-- over nonce, row id and ciphertext, so that a value is readable only in its own row. Vault uses
-- libsodium for the same promise, which plain Postgres does not have.

create table vault.secrets (
  id uuid primary key default gen_random_uuid(),
  name text,
  description text not null default '',
  secret text not null,
  key_id uuid,
  nonce bytea default @extschema:pgcrypto@.gen_random_bytes(16),
  created_at timestamptz not null default current_timestamp,
  updated_at timestamptz not null default current_timestamp
);
create unique index on vault.secrets (name) where name is not null;
comment on table vault.secrets is 'Table with encrypted `secret` column for storing sensitive information on disk.';

-- The root key is a file beside the cluster's data, never a row or a setting: dumps do not contain
-- it, and only definer's rights of the superuser reach it.
create function vault._derived_key(purpose text) returns bytea
language sql stable security definer set search_path = '' as $$
  select @extschema:pgcrypto@.hmac(
    pg_catalog.convert_to(purpose, 'UTF8'), pg_catalog.pg_read_binary_file('vault_root.key'), 'sha256');
$$;

create function vault._crypto_aead_det_encrypt(
  message bytea, additional bytea, key_id bigint, context bytea default 'pgsodium', nonce bytea default null
) returns bytea
language plpgsql security definer set search_path = '' as $$
declare
  ciphertext bytea := @extschema:pgcrypto@.encrypt_iv(
    message, vault._derived_key('encrypt'), nonce, 'aes-cbc/pad:pkcs');
begin
  return @extschema:pgcrypto@.hmac(nonce || additional || ciphertext, vault._derived_key('authenticate'), 'sha256')
    || ciphertext;
end;
$$;

create function vault._crypto_aead_det_decrypt(
  message bytea, additional bytea, key_id bigint, context bytea default 'pgsodium', nonce bytea default null
) returns bytea
language plpgsql stable security definer set search_path = '' as $$
declare
  tag bytea := pg_catalog.substr(message, 1, 32);
  ciphertext bytea := pg_catalog.substr(message, 33);
begin
  if tag is distinct from
    @extschema:pgcrypto@.hmac(nonce || additional || ciphertext, vault._derived_key('authenticate'), 'sha256')
  then
    raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid ciphertext' using errcode = '22000';
  end if;
  return @extschema:pgcrypto@.decrypt_iv(
    ciphertext, vault._derived_key('encrypt'), nonce, 'aes-cbc/pad:pkcs');
end;
$$;

create view vault.decrypted_secrets as
select
  secrets.id,
  secrets.name,
  secrets.description,
  secrets.secret,
  pg_catalog.convert_from(
    vault._crypto_aead_det_decrypt(
      message => pg_catalog.decode(secrets.secret, 'base64'),
      additional => pg_catalog.convert_to(secrets.id::text, 'utf8'),
      key_id => 0,
      nonce => secrets.nonce
    ), 'utf8') as decrypted_secret,
  secrets.key_id,
  secrets.nonce,
  secrets.created_at,
  secrets.updated_at
from vault.secrets;

create function vault.create_secret(
  new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid
language plpgsql security definer set search_path = '' as $$
declare
  new_id uuid := pg_catalog.gen_random_uuid();
  new_nonce bytea := @extschema:pgcrypto@.gen_random_bytes(16);
begin
  insert into vault.secrets (id, name, description, secret, nonce)
  values (
    new_id, new_name, coalesce(new_description, ''),
    pg_catalog.encode(vault._crypto_aead_det_encrypt(
      message => pg_catalog.convert_to(new_secret, 'utf8'),
      additional => pg_catalog.convert_to(new_id::text, 'utf8'),
      key_id => 0,
      nonce => new_nonce
    ), 'base64'),
    new_nonce
  );
  return new_id;
end;
$$;

create function vault.update_secret(
  secret_id uuid, new_secret text default null, new_name text default null,
  new_description text default null, new_key_id uuid default null
) returns void
language sql security definer set search_path = '' as $$
  update vault.secrets as stored set
    secret = case when new_secret is null then stored.secret else
      pg_catalog.encode(vault._crypto_aead_det_encrypt(
        message => pg_catalog.convert_to(new_secret, 'utf8'),
        additional => pg_catalog.convert_to(stored.id::text, 'utf8'),
        key_id => 0,
        nonce => stored.nonce
      ), 'base64') end,
    name = coalesce(new_name, stored.name),
    description = coalesce(new_description, stored.description),
    updated_at = pg_catalog.now()
  where stored.id = secret_id;
$$;

revoke all on all functions in schema vault from public;
grant usage on schema vault to postgres with grant option;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres with grant option;
grant execute on function
  vault.create_secret(text, text, text, uuid),
  vault.update_secret(uuid, text, text, text, uuid),
  vault._crypto_aead_det_decrypt(bytea, bytea, bigint, bytea, bytea)
  to postgres with grant option;
grant usage on schema vault to service_role;
grant select, delete on vault.secrets, vault.decrypted_secrets to service_role;
grant execute on function
  vault.create_secret(text, text, text, uuid),
  vault.update_secret(uuid, text, text, text, uuid),
  vault._crypto_aead_det_decrypt(bytea, bytea, bigint, bytea, bytea)
  to service_role;
