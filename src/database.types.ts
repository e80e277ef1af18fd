// Generated from the migrations by scripts/generate-types.ts: do not edit. What types does the database have?

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  'public': {
    Tables: {
      'activity_logs': {
        Row: {
          'action': string
          'actor_id': string | null
          'actor_type': string
          'created_at': string
          'detail': NonNullable<Json>
          'id': string
          'organization_id': string
          'outcome': string
          'subject_id': string | null
          'subject_type': string | null
        }
        ComputedFields: never
        Insert: {
          'action': string
          'actor_id'?: string | null
          'actor_type': string
          'created_at'?: string
          'detail'?: NonNullable<Json>
          'id'?: string
          'organization_id': string
          'outcome'?: string
          'subject_id'?: string | null
          'subject_type'?: string | null
        }
        Update: {
          'action'?: string
          'actor_id'?: string | null
          'actor_type'?: string
          'created_at'?: string
          'detail'?: NonNullable<Json>
          'id'?: string
          'organization_id'?: string
          'outcome'?: string
          'subject_id'?: string | null
          'subject_type'?: string | null
        }
        Relationships: [
          {
            foreignKeyName: 'activity_logs_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'analytics': {
        Row: {
          'absent_at': string | null
          'content_hash': string | null
          'created_at': string
          'day': string | null
          'deleted_at': string | null
          'dimension': string | null
          'id': string
          'integration_id': string
          'is_rolled_up': boolean
          'last_synced_at': string | null
          'metric': string | null
          'organization_id': string
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'updated_at': string
          'value': string | null
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'day'?: string | null
          'deleted_at'?: never
          'dimension'?: string | null
          'id'?: string
          'integration_id': string
          'is_rolled_up'?: never
          'last_synced_at'?: string | null
          'metric'?: string | null
          'organization_id': string
          'source': string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id': string
          'source_updated_at'?: string | null
          'updated_at'?: string
          'value'?: string | null
        }
        Update: {
          'absent_at'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'day'?: string | null
          'deleted_at'?: never
          'dimension'?: string | null
          'id'?: string
          'integration_id'?: string
          'is_rolled_up'?: never
          'last_synced_at'?: string | null
          'metric'?: string | null
          'organization_id'?: string
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'updated_at'?: string
          'value'?: string | null
        }
        Relationships: [
          {
            foreignKeyName: 'analytics_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'app_instances': {
        Row: {
          'app': string
          'created_at': string
          'created_by': string | null
          'id': string
          'name': string
          'organization_id': string
          'status': string
          'updated_at': string
          'version': number
        }
        ComputedFields: never
        Insert: {
          'app': string
          'created_at'?: string
          'created_by'?: string | null
          'id'?: string
          'name': string
          'organization_id': string
          'status'?: string
          'updated_at'?: string
          'version'?: number
        }
        Update: {
          'app'?: string
          'created_at'?: string
          'created_by'?: string | null
          'id'?: string
          'name'?: string
          'organization_id'?: string
          'status'?: string
          'updated_at'?: string
          'version'?: number
        }
        Relationships: [
          {
            foreignKeyName: 'app_instances_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'app_webhooks': {
        Row: {
          'api_version': string
          'created_at': string
          'created_by': string | null
          'description': string | null
          'disabled_at': string | null
          'disabled_reason': Json | null
          'event_types': (string)[]
          'failing_since': string | null
          'filter': Json | null
          'header_names': (string)[]
          'hex_signature': boolean
          'id': string
          'max_concurrency': number
          'ordered_by_subject': boolean
          'organization_id': string
          'public_key': string | null
          'rate_limit_per_second': number | null
          'retry_pauses_s': (number)[]
          'signatures': (string)[]
          'status': string
          'type_patterns': (string)[]
          'updated_at': string
          'url': string
          'version': number
        }
        ComputedFields: never
        Insert: {
          'api_version'?: string
          'created_at'?: string
          'created_by'?: string | null
          'description'?: string | null
          'disabled_at'?: string | null
          'disabled_reason'?: Json | null
          'event_types': (string)[]
          'failing_since'?: string | null
          'filter'?: Json | null
          'header_names'?: (string)[]
          'hex_signature'?: boolean
          'id'?: string
          'max_concurrency'?: number
          'ordered_by_subject'?: boolean
          'organization_id': string
          'public_key'?: string | null
          'rate_limit_per_second'?: number | null
          'retry_pauses_s'?: (number)[]
          'signatures'?: (string)[]
          'status'?: string
          'type_patterns'?: never
          'updated_at'?: string
          'url': string
          'version'?: number
        }
        Update: {
          'api_version'?: string
          'created_at'?: string
          'created_by'?: string | null
          'description'?: string | null
          'disabled_at'?: string | null
          'disabled_reason'?: Json | null
          'event_types'?: (string)[]
          'failing_since'?: string | null
          'filter'?: Json | null
          'header_names'?: (string)[]
          'hex_signature'?: boolean
          'id'?: string
          'max_concurrency'?: number
          'ordered_by_subject'?: boolean
          'organization_id'?: string
          'public_key'?: string | null
          'rate_limit_per_second'?: number | null
          'retry_pauses_s'?: (number)[]
          'signatures'?: (string)[]
          'status'?: string
          'type_patterns'?: never
          'updated_at'?: string
          'url'?: string
          'version'?: number
        }
        Relationships: [
          {
            foreignKeyName: 'app_webhooks_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'connectors': {
        Row: {
          'actions': NonNullable<Json>
          'auth_types': (string)[]
          'available': boolean
          'capabilities': (string)[]
          'category': string
          'credentials_schema': NonNullable<Json>
          'description': string
          'docs_url': string
          'name': string
          'settings_schema': NonNullable<Json>
          'slug': string
          'streams': NonNullable<Json>
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'actions'?: NonNullable<Json>
          'auth_types': (string)[]
          'available'?: boolean
          'capabilities'?: (string)[]
          'category': string
          'credentials_schema': NonNullable<Json>
          'description': string
          'docs_url': string
          'name': string
          'settings_schema': NonNullable<Json>
          'slug': string
          'streams': NonNullable<Json>
          'updated_at'?: string
        }
        Update: {
          'actions'?: NonNullable<Json>
          'auth_types'?: (string)[]
          'available'?: boolean
          'capabilities'?: (string)[]
          'category'?: string
          'credentials_schema'?: NonNullable<Json>
          'description'?: string
          'docs_url'?: string
          'name'?: string
          'settings_schema'?: NonNullable<Json>
          'slug'?: string
          'streams'?: NonNullable<Json>
          'updated_at'?: string
        }
        Relationships: []
      }
      'contacts': {
        Row: {
          'absent_at': string | null
          'address': Json | null
          'company': string | null
          'content_hash': string | null
          'created_at': string
          'deleted_at': string | null
          'email': string | null
          'first_name': string | null
          'full_name': string | null
          'id': string
          'image_asset_id': string | null
          'image_url': string | null
          'integration_id': string
          'job_title': string | null
          'kind': string
          'last_name': string | null
          'last_synced_at': string | null
          'marketing_status': string | null
          'organization_id': string
          'person_id': string | null
          'phone': string | null
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'tags': (string)[]
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'address'?: Json | null
          'company'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'email'?: string | null
          'first_name'?: string | null
          'full_name'?: string | null
          'id'?: string
          'image_asset_id'?: string | null
          'image_url'?: string | null
          'integration_id': string
          'job_title'?: string | null
          'kind'?: string
          'last_name'?: string | null
          'last_synced_at'?: string | null
          'marketing_status'?: string | null
          'organization_id'?: string
          'person_id'?: never
          'phone'?: string | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'tags'?: (string)[]
          'updated_at'?: string
        }
        Update: {
          'absent_at'?: string | null
          'address'?: Json | null
          'company'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'email'?: string | null
          'first_name'?: string | null
          'full_name'?: string | null
          'id'?: string
          'image_asset_id'?: string | null
          'image_url'?: string | null
          'integration_id'?: string
          'job_title'?: string | null
          'kind'?: string
          'last_name'?: string | null
          'last_synced_at'?: string | null
          'marketing_status'?: string | null
          'organization_id'?: string
          'person_id'?: never
          'phone'?: string | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'tags'?: (string)[]
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'contacts_image_asset_id_organization_id_fkey'
            columns: ['image_asset_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'media_assets'
            referencedColumns: ['id', 'organization_id']
          },
          {
            foreignKeyName: 'contacts_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'event_types': {
        Row: {
          'data_schema': NonNullable<Json>
          'description': string
          'example': NonNullable<Json>
          'name': string
        }
        ComputedFields: never
        Insert: {
          'data_schema': NonNullable<Json>
          'description': string
          'example': NonNullable<Json>
          'name': string
        }
        Update: {
          'data_schema'?: NonNullable<Json>
          'description'?: string
          'example'?: NonNullable<Json>
          'name'?: string
        }
        Relationships: []
      }
      'events': {
        Row: {
          'created_at': string
          'data': NonNullable<Json>
          'id': string
          'organization_id': string
          'origin': string
          'position': number
          'subject': string | null
          'type': string
        }
        ComputedFields: never
        Insert: {
          'created_at'?: string
          'data': NonNullable<Json>
          'id'?: string
          'organization_id': string
          'origin'?: string
          'position'?: number
          'subject'?: string | null
          'type': string
        }
        Update: {
          'created_at'?: string
          'data'?: NonNullable<Json>
          'id'?: string
          'organization_id'?: string
          'origin'?: string
          'position'?: number
          'subject'?: string | null
          'type'?: string
        }
        Relationships: []
      }
      'integrations': {
        Row: {
          'account': NonNullable<Json>
          'connected_at': string | null
          'connector': string
          'consecutive_failures': number
          'created_at': string
          'created_by': string | null
          'credentials_kept_until': string | null
          'disconnected_at': string | null
          'external_account_id': string | null
          'id': string
          'last_checked_at': string | null
          'last_error': Json | null
          'last_synced_at': string | null
          'name': string
          'organization_id': string
          'settings': NonNullable<Json>
          'status': string
          'sync_interval_minutes': number
          'updated_at': string
          'webhooks': boolean | null
        }
        ComputedFields: never
        Insert: {
          'account'?: NonNullable<Json>
          'connected_at'?: string | null
          'connector': string
          'consecutive_failures'?: number
          'created_at'?: string
          'created_by'?: string | null
          'credentials_kept_until'?: string | null
          'disconnected_at'?: string | null
          'external_account_id'?: string | null
          'id'?: string
          'last_checked_at'?: string | null
          'last_error'?: Json | null
          'last_synced_at'?: string | null
          'name': string
          'organization_id': string
          'settings'?: NonNullable<Json>
          'status'?: string
          'sync_interval_minutes'?: number
          'updated_at'?: string
          'webhooks'?: boolean | null
        }
        Update: {
          'account'?: NonNullable<Json>
          'connected_at'?: string | null
          'connector'?: string
          'consecutive_failures'?: number
          'created_at'?: string
          'created_by'?: string | null
          'credentials_kept_until'?: string | null
          'disconnected_at'?: string | null
          'external_account_id'?: string | null
          'id'?: string
          'last_checked_at'?: string | null
          'last_error'?: Json | null
          'last_synced_at'?: string | null
          'name'?: string
          'organization_id'?: string
          'settings'?: NonNullable<Json>
          'status'?: string
          'sync_interval_minutes'?: number
          'updated_at'?: string
          'webhooks'?: boolean | null
        }
        Relationships: [
          {
            foreignKeyName: 'integrations_connector_fkey'
            columns: ['connector']
            isOneToOne: false
            referencedRelation: 'connectors'
            referencedColumns: ['slug']
          },
          {
            foreignKeyName: 'integrations_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'media_assets': {
        Row: {
          'byte_size': number
          'content_hash': string
          'content_type': string
          'created_at': string
          'height': number | null
          'id': string
          'organization_id': string
          'storage_bucket': string
          'storage_path': string
          'width': number | null
        }
        ComputedFields: never
        Insert: {
          'byte_size': number
          'content_hash': string
          'content_type': string
          'created_at'?: string
          'height'?: number | null
          'id'?: string
          'organization_id': string
          'storage_bucket'?: string
          'storage_path': string
          'width'?: number | null
        }
        Update: {
          'byte_size'?: number
          'content_hash'?: string
          'content_type'?: string
          'created_at'?: string
          'height'?: number | null
          'id'?: string
          'organization_id'?: string
          'storage_bucket'?: string
          'storage_path'?: string
          'width'?: number | null
        }
        Relationships: [
          {
            foreignKeyName: 'media_assets_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'media_sources': {
        Row: {
          'asset_id': string | null
          'attempt_count': number
          'created_at': string
          'id': string
          'last_error': Json | null
          'lease_expires_at': string | null
          'lease_token': string | null
          'organization_id': string
          'run_at': string
          'status': string
          'updated_at': string
          'url': string
        }
        ComputedFields: never
        Insert: {
          'asset_id'?: string | null
          'attempt_count'?: number
          'created_at'?: string
          'id'?: string
          'last_error'?: Json | null
          'lease_expires_at'?: string | null
          'lease_token'?: string | null
          'organization_id': string
          'run_at'?: string
          'status'?: string
          'updated_at'?: string
          'url': string
        }
        Update: {
          'asset_id'?: string | null
          'attempt_count'?: number
          'created_at'?: string
          'id'?: string
          'last_error'?: Json | null
          'lease_expires_at'?: string | null
          'lease_token'?: string | null
          'organization_id'?: string
          'run_at'?: string
          'status'?: string
          'updated_at'?: string
          'url'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'media_sources_asset_id_organization_id_fkey'
            columns: ['asset_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'media_assets'
            referencedColumns: ['id', 'organization_id']
          },
          {
            foreignKeyName: 'media_sources_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'messages': {
        Row: {
          'absent_at': string | null
          'attachments': NonNullable<Json>
          'body_text': string | null
          'channel': string | null
          'content_hash': string | null
          'created_at': string
          'deleted_at': string | null
          'direction': string | null
          'id': string
          'integration_id': string
          'is_read': boolean | null
          'last_synced_at': string | null
          'organization_id': string
          'permalink': string | null
          'recipients': NonNullable<Json>
          'reply_to_id': string | null
          'requires_response': boolean
          'sender_address': string | null
          'sender_name': string | null
          'sent_at': string | null
          'sentiment_score': number | null
          'snippet': string | null
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'subject': string | null
          'thread_id': string | null
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'attachments'?: NonNullable<Json>
          'body_text'?: string | null
          'channel'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'direction'?: string | null
          'id'?: string
          'integration_id': string
          'is_read'?: boolean | null
          'last_synced_at'?: string | null
          'organization_id': string
          'permalink'?: string | null
          'recipients'?: NonNullable<Json>
          'reply_to_id'?: string | null
          'requires_response'?: boolean
          'sender_address'?: string | null
          'sender_name'?: string | null
          'sent_at'?: string | null
          'sentiment_score'?: number | null
          'snippet'?: string | null
          'source': string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id': string
          'source_updated_at'?: string | null
          'subject'?: string | null
          'thread_id'?: string | null
          'updated_at'?: string
        }
        Update: {
          'absent_at'?: string | null
          'attachments'?: NonNullable<Json>
          'body_text'?: string | null
          'channel'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'direction'?: string | null
          'id'?: string
          'integration_id'?: string
          'is_read'?: boolean | null
          'last_synced_at'?: string | null
          'organization_id'?: string
          'permalink'?: string | null
          'recipients'?: NonNullable<Json>
          'reply_to_id'?: string | null
          'requires_response'?: boolean
          'sender_address'?: string | null
          'sender_name'?: string | null
          'sent_at'?: string | null
          'sentiment_score'?: number | null
          'snippet'?: string | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'subject'?: string | null
          'thread_id'?: string | null
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'messages_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'orders': {
        Row: {
          'absent_at': string | null
          'content_hash': string | null
          'created_at': string
          'currency': string | null
          'customer_email': string | null
          'customer_source_id': string | null
          'deleted_at': string | null
          'description': string | null
          'id': string
          'integration_id': string
          'kind': string
          'last_synced_at': string | null
          'line_items': NonNullable<Json>
          'number': string | null
          'organization_id': string
          'placed_at': string | null
          'refunded_amount': string | null
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'status': string | null
          'total_amount': string | null
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'currency'?: string | null
          'customer_email'?: string | null
          'customer_source_id'?: string | null
          'deleted_at'?: never
          'description'?: string | null
          'id'?: string
          'integration_id': string
          'kind'?: string
          'last_synced_at'?: string | null
          'line_items'?: NonNullable<Json>
          'number'?: string | null
          'organization_id': string
          'placed_at'?: string | null
          'refunded_amount'?: string | null
          'source': string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id': string
          'source_updated_at'?: string | null
          'status'?: string | null
          'total_amount'?: string | null
          'updated_at'?: string
        }
        Update: {
          'absent_at'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'currency'?: string | null
          'customer_email'?: string | null
          'customer_source_id'?: string | null
          'deleted_at'?: never
          'description'?: string | null
          'id'?: string
          'integration_id'?: string
          'kind'?: string
          'last_synced_at'?: string | null
          'line_items'?: NonNullable<Json>
          'number'?: string | null
          'organization_id'?: string
          'placed_at'?: string | null
          'refunded_amount'?: string | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'status'?: string | null
          'total_amount'?: string | null
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'orders_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'organization_invitations': {
        Row: {
          'accepted_at': string | null
          'created_at': string
          'email': string
          'expires_at': string
          'id': string
          'invited_by': string | null
          'organization_id': string
          'role': string
        }
        ComputedFields: never
        Insert: {
          'accepted_at'?: string | null
          'created_at'?: string
          'email': string
          'expires_at'?: string
          'id'?: string
          'invited_by'?: string | null
          'organization_id': string
          'role': string
        }
        Update: {
          'accepted_at'?: string | null
          'created_at'?: string
          'email'?: string
          'expires_at'?: string
          'id'?: string
          'invited_by'?: string | null
          'organization_id'?: string
          'role'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'organization_invitations_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'organization_members': {
        Row: {
          'created_at': string
          'organization_id': string
          'role': string
          'updated_at': string
          'user_id': string
        }
        ComputedFields: never
        Insert: {
          'created_at'?: string
          'organization_id': string
          'role': string
          'updated_at'?: string
          'user_id': string
        }
        Update: {
          'created_at'?: string
          'organization_id'?: string
          'role'?: string
          'updated_at'?: string
          'user_id'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'organization_members_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'organizations': {
        Row: {
          'created_at': string
          'id': string
          'name': string
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'created_at'?: string
          'id'?: string
          'name': string
          'updated_at'?: string
        }
        Update: {
          'created_at'?: string
          'id'?: string
          'name'?: string
          'updated_at'?: string
        }
        Relationships: []
      }
      'people': {
        Row: {
          'company': string | null
          'contact_count': number
          'created_at': string
          'email': string
          'full_name': string | null
          'id': string
          'organization_id': string
          'phone': string | null
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'company'?: string | null
          'contact_count'?: number
          'created_at'?: string
          'email': string
          'full_name'?: string | null
          'id': string
          'organization_id': string
          'phone'?: string | null
          'updated_at'?: string
        }
        Update: {
          'company'?: string | null
          'contact_count'?: number
          'created_at'?: string
          'email'?: string
          'full_name'?: string | null
          'id'?: string
          'organization_id'?: string
          'phone'?: string | null
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'people_organization_id_fkey'
            columns: ['organization_id']
            isOneToOne: false
            referencedRelation: 'organizations'
            referencedColumns: ['id']
          },
        ]
      }
      'products': {
        Row: {
          'absent_at': string | null
          'brand': string | null
          'category': string | null
          'content_hash': string | null
          'created_at': string
          'deleted_at': string | null
          'description': string | null
          'id': string
          'image_asset_id': string | null
          'image_urls': (string)[]
          'integration_id': string
          'last_synced_at': string | null
          'name': string | null
          'organization_id': string
          'price_amount': string | null
          'price_currency': string | null
          'price_tiers': NonNullable<Json>
          'sku': string | null
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'status': string
          'stock_quantity': string | null
          'updated_at': string
          'variants': NonNullable<Json>
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'brand'?: string | null
          'category'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'description'?: string | null
          'id'?: string
          'image_asset_id'?: string | null
          'image_urls'?: (string)[]
          'integration_id': string
          'last_synced_at'?: string | null
          'name'?: string | null
          'organization_id'?: string
          'price_amount'?: string | null
          'price_currency'?: string | null
          'price_tiers'?: NonNullable<Json>
          'sku'?: string | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'status'?: string
          'stock_quantity'?: string | null
          'updated_at'?: string
          'variants'?: NonNullable<Json>
        }
        Update: {
          'absent_at'?: string | null
          'brand'?: string | null
          'category'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'description'?: string | null
          'id'?: string
          'image_asset_id'?: string | null
          'image_urls'?: (string)[]
          'integration_id'?: string
          'last_synced_at'?: string | null
          'name'?: string | null
          'organization_id'?: string
          'price_amount'?: string | null
          'price_currency'?: string | null
          'price_tiers'?: NonNullable<Json>
          'sku'?: string | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'status'?: string
          'stock_quantity'?: string | null
          'updated_at'?: string
          'variants'?: NonNullable<Json>
        }
        Relationships: [
          {
            foreignKeyName: 'products_image_asset_id_organization_id_fkey'
            columns: ['image_asset_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'media_assets'
            referencedColumns: ['id', 'organization_id']
          },
          {
            foreignKeyName: 'products_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'records': {
        Row: {
          'absent_at': string | null
          'collection': string | null
          'collection_name': string | null
          'content_hash': string | null
          'created_at': string
          'deleted_at': string | null
          'fields': NonNullable<Json>
          'id': string
          'integration_id': string
          'last_synced_at': string | null
          'name': string | null
          'organization_id': string
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'collection'?: string | null
          'collection_name'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'fields'?: NonNullable<Json>
          'id'?: string
          'integration_id': string
          'last_synced_at'?: string | null
          'name'?: string | null
          'organization_id': string
          'source': string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id': string
          'source_updated_at'?: string | null
          'updated_at'?: string
        }
        Update: {
          'absent_at'?: string | null
          'collection'?: string | null
          'collection_name'?: string | null
          'content_hash'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'fields'?: NonNullable<Json>
          'id'?: string
          'integration_id'?: string
          'last_synced_at'?: string | null
          'name'?: string | null
          'organization_id'?: string
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'records_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'social_posts': {
        Row: {
          'absent_at': string | null
          'author_handle': string | null
          'author_id': string | null
          'author_name': string | null
          'body_text': string | null
          'content_hash': string | null
          'conversation_id': string | null
          'created_at': string
          'deleted_at': string | null
          'id': string
          'impression_count': number | null
          'integration_id': string
          'is_own': boolean
          'kind': string
          'language': string | null
          'last_synced_at': string | null
          'like_count': number | null
          'media_urls': (string)[]
          'organization_id': string
          'permalink': string | null
          'published_at': string | null
          'quote_count': number | null
          'reply_count': number | null
          'reply_to_id': string | null
          'repost_count': number | null
          'requires_response': boolean
          'sentiment_score': number | null
          'source': string
          'source_data': Json | null
          'source_deleted_at': string | null
          'source_id': string
          'source_updated_at': string | null
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'absent_at'?: string | null
          'author_handle'?: string | null
          'author_id'?: string | null
          'author_name'?: string | null
          'body_text'?: string | null
          'content_hash'?: string | null
          'conversation_id'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'id'?: string
          'impression_count'?: number | null
          'integration_id': string
          'is_own'?: boolean
          'kind'?: string
          'language'?: string | null
          'last_synced_at'?: string | null
          'like_count'?: number | null
          'media_urls'?: (string)[]
          'organization_id': string
          'permalink'?: string | null
          'published_at'?: string | null
          'quote_count'?: number | null
          'reply_count'?: number | null
          'reply_to_id'?: string | null
          'repost_count'?: number | null
          'requires_response'?: boolean
          'sentiment_score'?: number | null
          'source': string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id': string
          'source_updated_at'?: string | null
          'updated_at'?: string
        }
        Update: {
          'absent_at'?: string | null
          'author_handle'?: string | null
          'author_id'?: string | null
          'author_name'?: string | null
          'body_text'?: string | null
          'content_hash'?: string | null
          'conversation_id'?: string | null
          'created_at'?: string
          'deleted_at'?: never
          'id'?: string
          'impression_count'?: number | null
          'integration_id'?: string
          'is_own'?: boolean
          'kind'?: string
          'language'?: string | null
          'last_synced_at'?: string | null
          'like_count'?: number | null
          'media_urls'?: (string)[]
          'organization_id'?: string
          'permalink'?: string | null
          'published_at'?: string | null
          'quote_count'?: number | null
          'reply_count'?: number | null
          'reply_to_id'?: string | null
          'repost_count'?: number | null
          'requires_response'?: boolean
          'sentiment_score'?: number | null
          'source'?: string
          'source_data'?: Json | null
          'source_deleted_at'?: string | null
          'source_id'?: string
          'source_updated_at'?: string | null
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'social_posts_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'sync_conflicts': {
        Row: {
          'base': Json | null
          'decided_at': string
          'decision': string
          'fields': (string)[]
          'id': string
          'integration_id': string
          'kind': string
          'local': Json | null
          'local_changed_at': string
          'local_changed_by': string | null
          'organization_id': string
          'overturned_at': string | null
          'overturned_by': string | null
          'policy': string
          'record_id': string
          'remote': Json | null
          'remote_changed_at': string
          'source_id': string
          'stream': string
          'sync_log_id': string | null
        }
        ComputedFields: never
        Insert: {
          'base'?: Json | null
          'decided_at'?: string
          'decision': string
          'fields'?: (string)[]
          'id'?: string
          'integration_id': string
          'kind': string
          'local'?: Json | null
          'local_changed_at': string
          'local_changed_by'?: string | null
          'organization_id': string
          'overturned_at'?: string | null
          'overturned_by'?: string | null
          'policy': string
          'record_id': string
          'remote'?: Json | null
          'remote_changed_at': string
          'source_id': string
          'stream': string
          'sync_log_id'?: string | null
        }
        Update: {
          'base'?: Json | null
          'decided_at'?: string
          'decision'?: string
          'fields'?: (string)[]
          'id'?: string
          'integration_id'?: string
          'kind'?: string
          'local'?: Json | null
          'local_changed_at'?: string
          'local_changed_by'?: string | null
          'organization_id'?: string
          'overturned_at'?: string | null
          'overturned_by'?: string | null
          'policy'?: string
          'record_id'?: string
          'remote'?: Json | null
          'remote_changed_at'?: string
          'source_id'?: string
          'stream'?: string
          'sync_log_id'?: string | null
        }
        Relationships: [
          {
            foreignKeyName: 'sync_conflicts_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
          {
            foreignKeyName: 'sync_conflicts_sync_log_id_fkey'
            columns: ['sync_log_id']
            isOneToOne: false
            referencedRelation: 'sync_logs'
            referencedColumns: ['id']
          },
        ]
      }
      'sync_errors': {
        Row: {
          'attempt_count': number
          'code': string
          'created_at': string
          'direction': string
          'id': string
          'integration_id': string
          'issues': NonNullable<Json>
          'last_seen_at': string
          'message': string
          'organization_id': string
          'payload': NonNullable<Json>
          'repaired_at': string | null
          'resolution': string | null
          'resolved_at': string | null
          'source_id': string | null
          'source_key': string
          'stream': string
          'sync_log_id': string | null
        }
        ComputedFields: never
        Insert: {
          'attempt_count'?: number
          'code': string
          'created_at'?: string
          'direction'?: string
          'id'?: string
          'integration_id': string
          'issues'?: NonNullable<Json>
          'last_seen_at'?: string
          'message': string
          'organization_id': string
          'payload': NonNullable<Json>
          'repaired_at'?: string | null
          'resolution'?: string | null
          'resolved_at'?: string | null
          'source_id'?: string | null
          'source_key': string
          'stream': string
          'sync_log_id'?: string | null
        }
        Update: {
          'attempt_count'?: number
          'code'?: string
          'created_at'?: string
          'direction'?: string
          'id'?: string
          'integration_id'?: string
          'issues'?: NonNullable<Json>
          'last_seen_at'?: string
          'message'?: string
          'organization_id'?: string
          'payload'?: NonNullable<Json>
          'repaired_at'?: string | null
          'resolution'?: string | null
          'resolved_at'?: string | null
          'source_id'?: string | null
          'source_key'?: string
          'stream'?: string
          'sync_log_id'?: string | null
        }
        Relationships: [
          {
            foreignKeyName: 'sync_errors_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
          {
            foreignKeyName: 'sync_errors_sync_log_id_fkey'
            columns: ['sync_log_id']
            isOneToOne: false
            referencedRelation: 'sync_logs'
            referencedColumns: ['id']
          },
        ]
      }
      'sync_logs': {
        Row: {
          'attempt_count': number
          'conflict_count': number
          'created_at': string
          'created_count': number
          'deleted_count': number
          'duration_ms': number | null
          'error': Json | null
          'error_count': number
          'failed_count': number
          'fetched_count': number
          'finished_at': string | null
          'id': string
          'integration_id': string
          'mode': string
          'organization_id': string
          'pushed_count': number
          'requested_by': string | null
          'started_at': string | null
          'status': string
          'stream': string
          'sync_type': string
          'unchanged_count': number
          'updated_count': number
        }
        ComputedFields: never
        Insert: {
          'attempt_count'?: number
          'conflict_count'?: number
          'created_at'?: string
          'created_count'?: number
          'deleted_count'?: number
          'duration_ms'?: never
          'error'?: Json | null
          'error_count'?: number
          'failed_count'?: number
          'fetched_count'?: number
          'finished_at'?: string | null
          'id'?: string
          'integration_id': string
          'mode': string
          'organization_id': string
          'pushed_count'?: number
          'requested_by'?: string | null
          'started_at'?: string | null
          'status'?: string
          'stream': string
          'sync_type': string
          'unchanged_count'?: number
          'updated_count'?: number
        }
        Update: {
          'attempt_count'?: number
          'conflict_count'?: number
          'created_at'?: string
          'created_count'?: number
          'deleted_count'?: number
          'duration_ms'?: never
          'error'?: Json | null
          'error_count'?: number
          'failed_count'?: number
          'fetched_count'?: number
          'finished_at'?: string | null
          'id'?: string
          'integration_id'?: string
          'mode'?: string
          'organization_id'?: string
          'pushed_count'?: number
          'requested_by'?: string | null
          'started_at'?: string | null
          'status'?: string
          'stream'?: string
          'sync_type'?: string
          'unchanged_count'?: number
          'updated_count'?: number
        }
        Relationships: [
          {
            foreignKeyName: 'sync_logs_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'sync_streams': {
        Row: {
          'batch_size': number
          'conflict_policy': string
          'created_at': string
          'cursor': Json | null
          'direction': string
          'enabled': boolean
          'filter': Json | null
          'full_sync_interval_minutes': number
          'integration_id': string
          'last_full_sync_at': string | null
          'mass_delete_percent': number
          'merge_fields': boolean
          'next_sync_at': string
          'offered': boolean
          'organization_id': string
          'push_batch_size': number | null
          'push_columns': (string)[] | null
          'push_deletes': boolean
          'pushes': boolean
          'record_events': string
          'retry_pauses_s': (number)[]
          'stream': string
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'batch_size'?: number
          'conflict_policy'?: string
          'created_at'?: string
          'cursor'?: Json | null
          'direction'?: string
          'enabled'?: boolean
          'filter'?: Json | null
          'full_sync_interval_minutes'?: number
          'integration_id': string
          'last_full_sync_at'?: string | null
          'mass_delete_percent'?: number
          'merge_fields'?: boolean
          'next_sync_at'?: string
          'offered'?: boolean
          'organization_id': string
          'push_batch_size'?: number | null
          'push_columns'?: (string)[] | null
          'push_deletes'?: boolean
          'pushes'?: never
          'record_events'?: string
          'retry_pauses_s'?: (number)[]
          'stream': string
          'updated_at'?: string
        }
        Update: {
          'batch_size'?: number
          'conflict_policy'?: string
          'created_at'?: string
          'cursor'?: Json | null
          'direction'?: string
          'enabled'?: boolean
          'filter'?: Json | null
          'full_sync_interval_minutes'?: number
          'integration_id'?: string
          'last_full_sync_at'?: string | null
          'mass_delete_percent'?: number
          'merge_fields'?: boolean
          'next_sync_at'?: string
          'offered'?: boolean
          'organization_id'?: string
          'push_batch_size'?: number | null
          'push_columns'?: (string)[] | null
          'push_deletes'?: boolean
          'pushes'?: never
          'record_events'?: string
          'retry_pauses_s'?: (number)[]
          'stream'?: string
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'sync_streams_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
      'webhook_attempts': {
        Row: {
          'attempt_number': number
          'created_at': string
          'endpoint_id': string
          'error': Json | null
          'event_id': string
          'finished_at': string | null
          'id': string
          'latency_ms': number | null
          'organization_id': string
          'outcome': string | null
          'response_body': string | null
          'response_status': number | null
        }
        ComputedFields: never
        Insert: {
          'attempt_number': number
          'created_at'?: string
          'endpoint_id': string
          'error'?: Json | null
          'event_id': string
          'finished_at'?: string | null
          'id'?: string
          'latency_ms'?: number | null
          'organization_id': string
          'outcome'?: string | null
          'response_body'?: string | null
          'response_status'?: number | null
        }
        Update: {
          'attempt_number'?: number
          'created_at'?: string
          'endpoint_id'?: string
          'error'?: Json | null
          'event_id'?: string
          'finished_at'?: string | null
          'id'?: string
          'latency_ms'?: number | null
          'organization_id'?: string
          'outcome'?: string | null
          'response_body'?: string | null
          'response_status'?: number | null
        }
        Relationships: []
      }
      'webhook_deliveries': {
        Row: {
          'attempt_count': number
          'endpoint_id': string
          'event_created_at': string
          'event_id': string
          'event_type': string
          'finished_at': string | null
          'last_error': Json | null
          'last_response_status': number | null
          'next_attempt_at': string | null
          'organization_id': string
          'status': string
        }
        ComputedFields: never
        Insert: {
          'attempt_count'?: number
          'endpoint_id': string
          'event_created_at': string
          'event_id': string
          'event_type': string
          'finished_at'?: string | null
          'last_error'?: Json | null
          'last_response_status'?: number | null
          'next_attempt_at'?: string | null
          'organization_id': string
          'status'?: string
        }
        Update: {
          'attempt_count'?: number
          'endpoint_id'?: string
          'event_created_at'?: string
          'event_id'?: string
          'event_type'?: string
          'finished_at'?: string | null
          'last_error'?: Json | null
          'last_response_status'?: number | null
          'next_attempt_at'?: string | null
          'organization_id'?: string
          'status'?: string
        }
        Relationships: []
      }
      'webhook_events': {
        Row: {
          'accounts': (string)[] | null
          'app_instance_id': string | null
          'body': string
          'connector': string | null
          'error': Json | null
          'id': string
          'integration_id': string | null
          'organization_id': string | null
          'processed_at': string | null
          'received_at': string
          'status': string
          'type': string
        }
        ComputedFields: never
        Insert: {
          'accounts'?: (string)[] | null
          'app_instance_id'?: string | null
          'body': string
          'connector'?: string | null
          'error'?: Json | null
          'id'?: string
          'integration_id'?: string | null
          'organization_id'?: string | null
          'processed_at'?: string | null
          'received_at'?: string
          'status'?: string
          'type': string
        }
        Update: {
          'accounts'?: (string)[] | null
          'app_instance_id'?: string | null
          'body'?: string
          'connector'?: string | null
          'error'?: Json | null
          'id'?: string
          'integration_id'?: string | null
          'organization_id'?: string | null
          'processed_at'?: string | null
          'received_at'?: string
          'status'?: string
          'type'?: string
        }
        Relationships: []
      }
      'webhook_subscriptions': {
        Row: {
          'created_at': string
          'creating_since': string | null
          'error': Json | null
          'expires_at': string | null
          'external_id': string | null
          'integration_id': string
          'made_by_hand': boolean
          'name': string
          'organization_id': string
          'renew_at': string | null
          'spec_hash': string | null
          'status': string
          'updated_at': string
        }
        ComputedFields: never
        Insert: {
          'created_at'?: string
          'creating_since'?: string | null
          'error'?: Json | null
          'expires_at'?: string | null
          'external_id'?: string | null
          'integration_id': string
          'made_by_hand'?: boolean
          'name': string
          'organization_id': string
          'renew_at'?: string | null
          'spec_hash'?: string | null
          'status'?: string
          'updated_at'?: string
        }
        Update: {
          'created_at'?: string
          'creating_since'?: string | null
          'error'?: Json | null
          'expires_at'?: string | null
          'external_id'?: string | null
          'integration_id'?: string
          'made_by_hand'?: boolean
          'name'?: string
          'organization_id'?: string
          'renew_at'?: string | null
          'spec_hash'?: string | null
          'status'?: string
          'updated_at'?: string
        }
        Relationships: [
          {
            foreignKeyName: 'webhook_subscriptions_integration_id_organization_id_fkey'
            columns: ['integration_id', 'organization_id']
            isOneToOne: false
            referencedRelation: 'integrations'
            referencedColumns: ['id', 'organization_id']
          },
        ]
      }
    }
    Views: {
      [_ in never]: never
    }
    Functions: {
      'accept_invitation': { Args: { 'token': string }; Returns: string }
      'acquire_request': {
        Args: {
          'p_burst'?: number
          'p_cost'?: number
          'p_key': string
          'p_limits'?: Json
          'p_max_wait_ms'?: number
          'p_requests_per_second': number
        }
        Returns: Json
      }
      'answer_wake': { Args: { 'p_worker': string }; Returns: undefined }
      'apply_records': {
        Args: {
          'p_deletions'?: Json
          'p_integration_id': string
          'p_records': Json
          'p_resolution'?: string
          'p_stream': string
        }
        Returns: Json
      }
      'begin_action': {
        Args: {
          'p_action': string
          'p_action_id': string
          'p_actor_id': string
          'p_idempotency_key': string
          'p_input_hash': string
          'p_integration_id': string
        }
        Returns: Json
      }
      'begin_app_subscription': {
        Args: {
          'p_connector': string
          'p_integration_ids'?: (string)[]
          'p_lease_token': string
          'p_name'?: string
        }
        Returns: undefined
      }
      'begin_grant_revocation': {
        Args: { 'p_credentials_id'?: string; 'p_integration_id': string }
        Returns: Json
      }
      'begin_oauth': {
        Args: {
          'p_code_challenge': string
          'p_code_verifier': string
          'p_connector': string
          'p_finished_by': string
          'p_integration_id': string
          'p_name': string
          'p_organization_id': string
          'p_redirect_uri': string
          'p_return_url': string
          'p_settings': Json
          'p_state_hash': string
          'p_sync_interval_minutes': number
          'p_user_id': string
        }
        Returns: string
      }
      'begin_token_refresh': {
        Args: {
          'p_ended': Json
          'p_generation': number
          'p_integration_id': string
          'p_lease_token': string
          'p_refused': boolean
        }
        Returns: Json
      }
      'begin_webhook_subscription': {
        Args: { 'p_integration_id': string; 'p_lease_token': string; 'p_name': string }
        Returns: undefined
      }
      'claim_app_subscriptions': { Args: { 'p_lease_seconds'?: number }; Returns: Json }
      'claim_due_checks': { Args: { 'p_limit'?: number }; Returns: Json }
      'claim_images': {
        Args: { 'p_lease_seconds'?: number; 'p_lease_token': string; 'p_limit'?: number }
        Returns: Json
      }
      'claim_outbound_changes': {
        Args: { 'p_lease_token': string; 'p_limit': number; 'p_sync_log_id': string }
        Returns: Json
      }
      'claim_sync_run': {
        Args: { 'p_lease_seconds'?: number; 'p_lease_token'?: string; 'p_sync_log_id'?: string }
        Returns: Json
      }
      'claim_webhook_deliveries': {
        Args: {
          'p_ahead'?: boolean
          'p_awake_ms'?: number
          'p_lease_seconds'?: number
          'p_lease_token': string
          'p_limit'?: number
        }
        Returns: Json
      }
      'claim_webhook_events': {
        Args: {
          'p_awake_ms'?: number
          'p_lease_seconds'?: number
          'p_lease_token': string
          'p_limit'?: number
        }
        Returns: Json
      }
      'claim_webhook_subscriptions': {
        Args: { 'p_lease_seconds'?: number; 'p_limit'?: number }
        Returns: Json
      }
      'claim_webhook_subscriptions_of': {
        Args: { 'p_integration_id': string; 'p_lease_seconds'?: number }
        Returns: Json
      }
      'connect_integration': {
        Args: {
          'p_access_token'?: string
          'p_account'?: Json
          'p_actor_id'?: string
          'p_connector': string
          'p_credentials': Json
          'p_external_account_id': string
          'p_name': string
          'p_organization_id': string
          'p_push_columns'?: Json
          'p_revoked'?: boolean
          'p_settings': Json
          'p_streams'?: (string)[]
          'p_sync_interval_minutes'?: number
          'p_token_expires_at'?: string
        }
        Returns: {
          'account': NonNullable<Json>
          'connected_at': string | null
          'connector': string
          'consecutive_failures': number
          'created_at': string
          'created_by': string | null
          'credentials_kept_until': string | null
          'disconnected_at': string | null
          'external_account_id': string | null
          'id': string
          'last_checked_at': string | null
          'last_error': Json | null
          'last_synced_at': string | null
          'name': string
          'organization_id': string
          'settings': NonNullable<Json>
          'status': string
          'sync_interval_minutes': number
          'updated_at': string
          'webhooks': boolean | null
        }
        SetofOptions: {
          from: '*'
          to: 'integrations'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'connect_oauth_integration': {
        Args: {
          'p_access_token': string
          'p_account': Json
          'p_actor_id': string
          'p_connector': string
          'p_expires_in_seconds': number
          'p_external_account_id': string
          'p_integration_id': string
          'p_name': string
          'p_organization_id': string
          'p_push_columns'?: Json
          'p_refresh_token': string
          'p_scope': string
          'p_settings': Json
          'p_started_at'?: string
          'p_streams': (string)[]
          'p_sync_interval_minutes': number
        }
        Returns: {
          'account': NonNullable<Json>
          'connected_at': string | null
          'connector': string
          'consecutive_failures': number
          'created_at': string
          'created_by': string | null
          'credentials_kept_until': string | null
          'disconnected_at': string | null
          'external_account_id': string | null
          'id': string
          'last_checked_at': string | null
          'last_error': Json | null
          'last_synced_at': string | null
          'name': string
          'organization_id': string
          'settings': NonNullable<Json>
          'status': string
          'sync_interval_minutes': number
          'updated_at': string
          'webhooks': boolean | null
        }
        SetofOptions: {
          from: '*'
          to: 'integrations'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'create_organization': {
        Args: { 'name': string }
        Returns: {
          'created_at': string
          'id': string
          'name': string
          'updated_at': string
        }
        SetofOptions: {
          from: '*'
          to: 'organizations'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'create_webhook_endpoint': {
        Args: {
          'p_actor_id'?: string
          'p_endpoint_id'?: string
          'p_headers'?: Json
          'p_options': Json
          'p_organization_id': string
          'p_signing_key'?: string
          'p_signing_secret': string
          'p_url': string
        }
        Returns: {
          'api_version': string
          'created_at': string
          'created_by': string | null
          'description': string | null
          'disabled_at': string | null
          'disabled_reason': Json | null
          'event_types': (string)[]
          'failing_since': string | null
          'filter': Json | null
          'header_names': (string)[]
          'hex_signature': boolean
          'id': string
          'max_concurrency': number
          'ordered_by_subject': boolean
          'organization_id': string
          'public_key': string | null
          'rate_limit_per_second': number | null
          'retry_pauses_s': (number)[]
          'signatures': (string)[]
          'status': string
          'type_patterns': (string)[]
          'updated_at': string
          'url': string
          'version': number
        }
        SetofOptions: {
          from: '*'
          to: 'app_webhooks'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'delete_absent': {
        Args: {
          'p_lease_token': string
          'p_needs_two_scans'?: boolean
          'p_progress': Json
          'p_source_ids': (string)[]
          'p_sync_log_id': string
        }
        Returns: Json
      }
      'delete_app_instance': {
        Args: { 'p_actor_id'?: string; 'p_app_instance_id': string }
        Returns: undefined
      }
      'delete_webhook_endpoint': {
        Args: { 'p_actor_id'?: string; 'p_endpoint_id': string }
        Returns: undefined
      }
      'describe_webhook_receiver': { Args: { 'p_integration_id': string }; Returns: Json }
      'disconnect_integration': {
        Args: {
          'p_actor_id'?: string
          'p_credentials_id'?: string
          'p_delete_data'?: boolean
          'p_integration_id': string
          'p_keep_credentials'?: boolean
          'p_revoked'?: boolean
          'p_unsubscribed'?: boolean
        }
        Returns: {
          'account': NonNullable<Json>
          'connected_at': string | null
          'connector': string
          'consecutive_failures': number
          'created_at': string
          'created_by': string | null
          'credentials_kept_until': string | null
          'disconnected_at': string | null
          'external_account_id': string | null
          'id': string
          'last_checked_at': string | null
          'last_error': Json | null
          'last_synced_at': string | null
          'name': string
          'organization_id': string
          'settings': NonNullable<Json>
          'status': string
          'sync_interval_minutes': number
          'updated_at': string
          'webhooks': boolean | null
        }
        SetofOptions: {
          from: '*'
          to: 'integrations'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'emit_event': {
        Args: {
          'p_data': Json
          'p_organization_id': string
          'p_subject'?: string
          'p_type': string
        }
        Returns: string
      }
      'end_webhook_subscriptions': {
        Args: {
          'p_integration_id': string
          'p_lease_token': string
          'p_revoked'?: boolean
          'p_unsubscribed': boolean
        }
        Returns: undefined
      }
      'fail_token_refresh': {
        Args: {
          'p_answered': boolean
          'p_error': Json
          'p_integration_id': string
          'p_is_final': boolean
          'p_lease_token': string
          'p_retry_after_ms'?: number
        }
        Returns: undefined
      }
      'find_integration': {
        Args: {
          'p_connector': string
          'p_external_account_id': string
          'p_organization_id': string
        }
        Returns: string
      }
      'finish_action': {
        Args: { 'p_action_id': string; 'p_detail'?: Json; 'p_result': Json; 'p_status': string }
        Returns: undefined
      }
      'finish_app_subscriptions': {
        Args: {
          'p_connector': string
          'p_failures'?: Json
          'p_lease_token': string
          'p_next_seconds'?: number
          'p_pause_ms'?: number
        }
        Returns: undefined
      }
      'finish_images': {
        Args: { 'p_hand_over'?: boolean; 'p_lease_token': string; 'p_outcomes': Json }
        Returns: undefined
      }
      'finish_outbound_changes': {
        Args: { 'p_lease_token': string; 'p_outcomes': Json; 'p_sync_log_id': string }
        Returns: Json
      }
      'finish_sync_run': {
        Args: {
          'p_error'?: Json
          'p_lease_token': string
          'p_status': string
          'p_sync_log_id': string
        }
        Returns: {
          'attempt_count': number
          'conflict_count': number
          'created_at': string
          'created_count': number
          'deleted_count': number
          'duration_ms': number | null
          'error': Json | null
          'error_count': number
          'failed_count': number
          'fetched_count': number
          'finished_at': string | null
          'id': string
          'integration_id': string
          'mode': string
          'organization_id': string
          'pushed_count': number
          'requested_by': string | null
          'started_at': string | null
          'status': string
          'stream': string
          'sync_type': string
          'unchanged_count': number
          'updated_count': number
        }
        SetofOptions: {
          from: '*'
          to: 'sync_logs'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'finish_webhook_deliveries': {
        Args: { 'p_lease_token': string; 'p_outcomes': Json }
        Returns: number
      }
      'finish_webhook_events': {
        Args: { 'p_hand_over'?: boolean; 'p_lease_token': string; 'p_outcomes': Json }
        Returns: undefined
      }
      'finish_webhook_subscriptions': {
        Args: {
          'p_failures'?: Json
          'p_integration_id': string
          'p_lease_token': string
          'p_next_seconds'?: number
          'p_pause_ms'?: number
        }
        Returns: undefined
      }
      'forget_app_subscriptions': {
        Args: {
          'p_connector': string
          'p_integration_ids': (string)[]
          'p_lease_token': string
          'p_name'?: string
        }
        Returns: undefined
      }
      'forget_webhook_subscription': {
        Args: { 'p_integration_id': string; 'p_lease_token': string; 'p_name': string }
        Returns: undefined
      }
      'has_media_asset': {
        Args: { 'p_content_hash': string; 'p_organization_id': string }
        Returns: boolean
      }
      'invite_member': {
        Args: { 'email': string; 'organization_id': string; 'role'?: string }
        Returns: Json
      }
      'list_absent': {
        Args: {
          'p_after'?: string
          'p_lease_token': string
          'p_limit'?: number
          'p_sync_log_id': string
        }
        Returns: Json
      }
      'list_checkable_integrations': { Args: { 'p_organization_id': string }; Returns: Json }
      'list_held_records': {
        Args: { 'p_lease_token': string; 'p_source_ids': (string)[]; 'p_sync_log_id': string }
        Returns: Json
      }
      'list_open_sync_errors': {
        Args: {
          'p_after'?: string
          'p_ids'?: (string)[]
          'p_integration_id': string
          'p_limit'?: number
          'p_stream': string
        }
        Returns: Json
      }
      'next_sync_run_at': { Args: Record<PropertyKey, never>; Returns: string }
      'next_webhook_delivery_at': { Args: Record<PropertyKey, never>; Returns: string }
      'next_webhook_event_at': { Args: Record<PropertyKey, never>; Returns: string }
      'open_app_instance': { Args: { 'p_app_instance_id': string }; Returns: Json }
      'open_integration': {
        Args: { 'p_integration_id': string; 'p_to_unsubscribe'?: boolean }
        Returns: Json
      }
      'open_oauth': { Args: { 'p_browser_hash': string; 'p_state_hash': string }; Returns: Json }
      'open_webhook_endpoints': { Args: { 'p_endpoint_ids': (string)[] }; Returns: Json }
      'open_webhook_receiver': { Args: { 'p_integration_id': string }; Returns: Json }
      'overturn_conflict': {
        Args: { 'p_conflict_id': string }
        Returns: {
          'base': Json | null
          'decided_at': string
          'decision': string
          'fields': (string)[]
          'id': string
          'integration_id': string
          'kind': string
          'local': Json | null
          'local_changed_at': string
          'local_changed_by': string | null
          'organization_id': string
          'overturned_at': string | null
          'overturned_by': string | null
          'policy': string
          'record_id': string
          'remote': Json | null
          'remote_changed_at': string
          'source_id': string
          'stream': string
          'sync_log_id': string | null
        }
        SetofOptions: {
          from: '*'
          to: 'sync_conflicts'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'ping_webhook_endpoint': {
        Args: { 'p_actor_id'?: string; 'p_endpoint_id': string }
        Returns: {
          'attempt_count': number
          'endpoint_id': string
          'event_created_at': string
          'event_id': string
          'event_type': string
          'finished_at': string | null
          'last_error': Json | null
          'last_response_status': number | null
          'next_attempt_at': string | null
          'organization_id': string
          'status': string
        }
        SetofOptions: {
          from: '*'
          to: 'webhook_deliveries'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'preview_push': { Args: { 'p_integration_id': string; 'p_stream': string }; Returns: Json }
      'read_sync_log': {
        Args: { 'p_sync_log_id': string }
        Returns: {
          'attempt_count': number
          'conflict_count': number
          'created_at': string
          'created_count': number
          'deleted_count': number
          'duration_ms': number | null
          'error': Json | null
          'error_count': number
          'failed_count': number
          'fetched_count': number
          'finished_at': string | null
          'id': string
          'integration_id': string
          'mode': string
          'organization_id': string
          'pushed_count': number
          'requested_by': string | null
          'started_at': string | null
          'status': string
          'stream': string
          'sync_type': string
          'unchanged_count': number
          'updated_count': number
        }
        SetofOptions: {
          from: '*'
          to: 'sync_logs'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'read_webhook_events': {
        Args: {
          'p_app_instance_id'?: string
          'p_connector'?: string
          'p_ids': (string)[]
          'p_integration_id'?: string
        }
        Returns: Json
      }
      'receive_app_event': {
        Args: {
          'p_app_instance_id': string
          'p_body': string
          'p_dedupe_key': string
          'p_headers': Json
          'p_proof': Json
          'p_type': string
          'p_version': number
        }
        Returns: Json
      }
      'receive_webhook': {
        Args: {
          'p_accounts'?: (string)[]
          'p_body': string
          'p_connector': string
          'p_dedupe_key': string
          'p_headers': Json
          'p_integration_id'?: string
          'p_proof': Json
          'p_receiver_version'?: string
          'p_type': string
        }
        Returns: Json
      }
      'receive_webhooks': { Args: { 'p_webhooks': Json }; Returns: Json }
      'record_integration_check': {
        Args: { 'p_credentials_id'?: string; 'p_error'?: Json; 'p_integration_id': string }
        Returns: {
          'account': NonNullable<Json>
          'connected_at': string | null
          'connector': string
          'consecutive_failures': number
          'created_at': string
          'created_by': string | null
          'credentials_kept_until': string | null
          'disconnected_at': string | null
          'external_account_id': string | null
          'id': string
          'last_checked_at': string | null
          'last_error': Json | null
          'last_synced_at': string | null
          'name': string
          'organization_id': string
          'settings': NonNullable<Json>
          'status': string
          'sync_interval_minutes': number
          'updated_at': string
          'webhooks': boolean | null
        }
        SetofOptions: {
          from: '*'
          to: 'integrations'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'record_replay': {
        Args: { 'p_integration_id': string; 'p_outcomes': Json }
        Returns: undefined
      }
      'register_app_instance': {
        Args: {
          'p_actor_id'?: string
          'p_app': string
          'p_app_instance_id'?: string
          'p_name': string
          'p_organization_id': string
          'p_secret': string
        }
        Returns: {
          'app': string
          'created_at': string
          'created_by': string | null
          'id': string
          'name': string
          'organization_id': string
          'status': string
          'updated_at': string
          'version': number
        }
        SetofOptions: {
          from: '*'
          to: 'app_instances'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'release_sync_run': {
        Args: {
          'p_error'?: Json
          'p_lease_token': string
          'p_pause_ms'?: number
          'p_sync_log_id': string
        }
        Returns: undefined
      }
      'replay_webhook_deliveries': {
        Args: {
          'p_actor_id'?: string
          'p_endpoint_id': string
          'p_event_ids'?: (string)[]
          'p_since'?: string
          'p_until'?: string
          'p_what'?: string
        }
        Returns: number
      }
      'replay_webhook_events': {
        Args: {
          'p_actor_id'?: string
          'p_after'?: string
          'p_app_instance_id'?: string
          'p_connector'?: string
          'p_from'?: string
          'p_ids'?: (string)[]
          'p_integration_id'?: string
          'p_limit'?: number
          'p_statuses'?: (string)[]
          'p_to'?: string
        }
        Returns: Json
      }
      'report_request': {
        Args: { 'p_key': string; 'p_outcome': string; 'p_retry_after_ms'?: number }
        Returns: undefined
      }
      'request_images': {
        Args: { 'p_actor_id'?: string; 'p_organization_id': string; 'p_retry_dead'?: boolean }
        Returns: Json
      }
      'restart_sync_run': {
        Args: { 'p_full'?: boolean; 'p_lease_token': string; 'p_sync_log_id': string }
        Returns: undefined
      }
      'ring_delivery_worker': {
        Args: { 'p_as_successor'?: boolean; 'p_at_most': number }
        Returns: undefined
      }
      'ring_for_due_deliveries': { Args: { 'p_within_ms'?: number }; Returns: undefined }
      'rotate_app_instance_secret': {
        Args: {
          'p_actor_id'?: string
          'p_app_instance_id': string
          'p_overlap_hours'?: number
          'p_secret': string
        }
        Returns: {
          'app': string
          'created_at': string
          'created_by': string | null
          'id': string
          'name': string
          'organization_id': string
          'status': string
          'updated_at': string
          'version': number
        }
        SetofOptions: {
          from: '*'
          to: 'app_instances'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'rotate_webhook_secret': {
        Args: {
          'p_actor_id'?: string
          'p_endpoint_id': string
          'p_overlap_hours'?: number
          'p_public_key': string
          'p_signing_key': string
          'p_signing_secret': string
        }
        Returns: {
          'api_version': string
          'created_at': string
          'created_by': string | null
          'description': string | null
          'disabled_at': string | null
          'disabled_reason': Json | null
          'event_types': (string)[]
          'failing_since': string | null
          'filter': Json | null
          'header_names': (string)[]
          'hex_signature': boolean
          'id': string
          'max_concurrency': number
          'ordered_by_subject': boolean
          'organization_id': string
          'public_key': string | null
          'rate_limit_per_second': number | null
          'retry_pauses_s': (number)[]
          'signatures': (string)[]
          'status': string
          'type_patterns': (string)[]
          'updated_at': string
          'url': string
          'version': number
        }
        SetofOptions: {
          from: '*'
          to: 'app_webhooks'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'save_app_subscription': {
        Args: {
          'p_connector': string
          'p_external_id': string
          'p_integration_ids'?: (string)[]
          'p_lease_token': string
          'p_name'?: string
        }
        Returns: undefined
      }
      'save_integration_token': {
        Args: {
          'p_access_token': string
          'p_credentials_id'?: string
          'p_expires_at'?: string
          'p_integration_id': string
        }
        Returns: undefined
      }
      'save_token_refresh': {
        Args: {
          'p_access_token': string
          'p_account': Json
          'p_expires_in_seconds': number
          'p_generation': number
          'p_integration_id': string
          'p_refresh_token': string
          'p_scope': string
        }
        Returns: Json
      }
      'save_webhook_subscription': {
        Args: {
          'p_integration_id': string
          'p_lease_token': string
          'p_name': string
          'p_secret'?: string
          'p_subscription': Json
        }
        Returns: undefined
      }
      'set_webhook_path_token': {
        Args: {
          'p_actor_id'?: string
          'p_instead_of'?: string
          'p_integration_id': string
          'p_token_hash': string
        }
        Returns: boolean
      }
      'set_webhook_secret': {
        Args: {
          'p_actor_id'?: string
          'p_integration_id': string
          'p_overlap_seconds'?: number
          'p_secret': string
        }
        Returns: undefined
      }
      'settle_outbound_changes': {
        Args: {
          'p_deletions'?: Json
          'p_lease_token': string
          'p_links'?: Json
          'p_record_ids': (string)[]
          'p_records'?: Json
          'p_sync_log_id': string
        }
        Returns: Json
      }
      'start_sync': {
        Args: {
          'p_allow_mass_delete'?: boolean
          'p_integration_id': string
          'p_mode'?: string
          'p_requested_by'?: string
          'p_stream': string
          'p_sync_type': string
          'p_wake'?: boolean
        }
        Returns: {
          'attempt_count': number
          'conflict_count': number
          'created_at': string
          'created_count': number
          'deleted_count': number
          'duration_ms': number | null
          'error': Json | null
          'error_count': number
          'failed_count': number
          'fetched_count': number
          'finished_at': string | null
          'id': string
          'integration_id': string
          'mode': string
          'organization_id': string
          'pushed_count': number
          'requested_by': string | null
          'started_at': string | null
          'status': string
          'stream': string
          'sync_type': string
          'unchanged_count': number
          'updated_count': number
        }
        SetofOptions: {
          from: '*'
          to: 'sync_logs'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'update_app_instance': {
        Args: { 'p_actor_id'?: string; 'p_app_instance_id': string; 'p_changes': Json }
        Returns: {
          'app': string
          'created_at': string
          'created_by': string | null
          'id': string
          'name': string
          'organization_id': string
          'status': string
          'updated_at': string
          'version': number
        }
        SetofOptions: {
          from: '*'
          to: 'app_instances'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'update_integration': {
        Args: {
          'p_access_token'?: string
          'p_account'?: Json
          'p_actor_id'?: string
          'p_credentials'?: Json
          'p_integration_id': string
          'p_name'?: string
          'p_paused'?: boolean
          'p_push_columns'?: Json
          'p_revoked'?: boolean
          'p_settings'?: Json
          'p_streams'?: (string)[]
          'p_sync_interval_minutes'?: number
          'p_token_expires_at'?: string
          'p_webhooks'?: boolean
        }
        Returns: {
          'account': NonNullable<Json>
          'connected_at': string | null
          'connector': string
          'consecutive_failures': number
          'created_at': string
          'created_by': string | null
          'credentials_kept_until': string | null
          'disconnected_at': string | null
          'external_account_id': string | null
          'id': string
          'last_checked_at': string | null
          'last_error': Json | null
          'last_synced_at': string | null
          'name': string
          'organization_id': string
          'settings': NonNullable<Json>
          'status': string
          'sync_interval_minutes': number
          'updated_at': string
          'webhooks': boolean | null
        }
        SetofOptions: {
          from: '*'
          to: 'integrations'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'update_webhook_endpoint': {
        Args: {
          'p_actor_id'?: string
          'p_changes': Json
          'p_endpoint_id': string
          'p_headers'?: Json
          'p_signing_key'?: string
        }
        Returns: {
          'api_version': string
          'created_at': string
          'created_by': string | null
          'description': string | null
          'disabled_at': string | null
          'disabled_reason': Json | null
          'event_types': (string)[]
          'failing_since': string | null
          'filter': Json | null
          'header_names': (string)[]
          'hex_signature': boolean
          'id': string
          'max_concurrency': number
          'ordered_by_subject': boolean
          'organization_id': string
          'public_key': string | null
          'rate_limit_per_second': number | null
          'retry_pauses_s': (number)[]
          'signatures': (string)[]
          'status': string
          'type_patterns': (string)[]
          'updated_at': string
          'url': string
          'version': number
        }
        SetofOptions: {
          from: '*'
          to: 'app_webhooks'
          isOneToOne: true
          isSetofReturn: false
        }
      }
      'use_oauth_state': {
        Args: {
          'p_attempt': string
          'p_browser_hash'?: string
          'p_state_hash': string
          'p_user_id'?: string
        }
        Returns: Json
      }
      'write_sync_page': {
        Args: {
          'p_content_hashes': (string)[]
          'p_deletions'?: Json
          'p_fetched': number
          'p_lease_seconds'?: number
          'p_lease_token': string
          'p_progress': Json
          'p_records'?: Json
          'p_refused'?: Json
          'p_source_ids': (string)[]
          'p_sync_log_id': string
        }
        Returns: Json
      }
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
}

type DatabaseWithoutInternals = Omit<Database, '__InternalSupabase'>

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, 'public'>]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema['Tables'] & DefaultSchema['Views'])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables']
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Views']
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables']
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Views']
  )[TableName] extends {
    Row: infer R
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema['Tables'] & DefaultSchema['Views'])
    ? (DefaultSchema['Tables'] & DefaultSchema['Views'])[DefaultSchemaTableNameOrOptions] extends {
      Row: infer R
    } ? R
    : never
  : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema['Tables']
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables']
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables'][TableName] extends
    {
      Insert: infer I
    } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema['Tables']
    ? DefaultSchema['Tables'][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I
    } ? I
    : never
  : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema['Tables']
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables']
    : never = never,
> = DefaultSchemaTableNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions['schema']]['Tables'][TableName] extends
    {
      Update: infer U
    } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema['Tables']
    ? DefaultSchema['Tables'][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U
    } ? U
    : never
  : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema['Enums']
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions['schema']]['Enums']
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions['schema']]['Enums'][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema['Enums']
    ? DefaultSchema['Enums'][DefaultSchemaEnumNameOrOptions]
  : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema['CompositeTypes']
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  } ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions['schema']]['CompositeTypes']
    : never = never,
> = PublicCompositeTypeNameOrOptions extends { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions['schema']]['CompositeTypes'][
    CompositeTypeName
  ]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema['CompositeTypes']
    ? DefaultSchema['CompositeTypes'][PublicCompositeTypeNameOrOptions]
  : never

export const Constants = {
  'public': {
    Enums: {},
  },
} as const
